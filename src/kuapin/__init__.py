"""Kuapin: recommendations across categories, for categories that have just opened."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kuapin.model import Model
    from kuapin.pipeline.train import train
    from kuapin.workspace import Shop

__all__ = ["Model", "Shop", "__version__", "train"]

try:
    __version__ = version("kuapin")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"

_HOMES = {"Shop": "kuapin.workspace", "train": "kuapin.pipeline.train", "Model": "kuapin.model"}


def __getattr__(name: str) -> object:
    """The public names, imported when first used: importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kuapin' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
