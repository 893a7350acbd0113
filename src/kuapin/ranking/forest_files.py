"""How a forest that may be absent lies in a release: ``<name>.json``, and ``<name>.txt`` in LightGBM's own format."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuapin.errors import ModelFolderError

if TYPE_CHECKING:
    import lightgbm

_TREES = "trees"


def write_forest(folder: Path, name: str, said: dict[str, Any], forest: "lightgbm.Booster | None") -> None:
    """Write what is said of a forest, and the forest where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(said | {_TREES: forest is not None}, indent=1)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")
    if forest is not None:
        (folder / f"{name}.txt").write_text(forest.model_to_string(), encoding="utf-8")


def read_forest(folder: Path, name: str) -> "tuple[dict[str, Any], lightgbm.Booster | None]":
    """Read what ``write_forest`` wrote; only numbers are read, no code.

    Raises:
        ModelFolderError: a file is missing or damaged.
    """
    import lightgbm

    try:
        said = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        text = (folder / f"{name}.txt").read_text(encoding="utf-8") if said[_TREES] else None
        return said, lightgbm.Booster(model_str=text) if text is not None else None
    except (OSError, ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError) as error:
        raise unreadable(folder, error) from error


def unreadable(folder: Path, error: Exception) -> ModelFolderError:
    """The error for a part that cannot be read."""
    return ModelFolderError(f"Model folder {folder} cannot be read ({error}). Train again.")
