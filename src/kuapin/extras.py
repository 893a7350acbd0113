"""Optional packages: imported where they are used, and asked for in words."""

import importlib
from types import ModuleType

from kuapin.errors import MissingExtraError


def require(package: str, extra: str) -> ModuleType:
    """Import an optional package.

    Args:
        package: the import name, dots allowed (``"torch"``).
        extra: the extra of ``kuapin`` that installs it (``"train"``).

    Raises:
        MissingExtraError: the package is not installed; the message holds the pip line.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is not None and package.split(".")[0] != error.name.split(".")[0]:
            raise
        raise MissingExtraError(
            f"This step needs the package {package}, which is not installed. Run: pip install 'kuapin[{extra}]'"
        ) from error
