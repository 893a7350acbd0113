"""Checkpoints of a run: sealed when they are whole, so that one that was cut short is never gone on from."""

import hashlib
import json
import shutil
import warnings
from pathlib import Path

from kuapin.durable import sync_tree, write_durably

_SEAL = "complete.json"
_PREFIX = "checkpoint-"


def seal(folder: Path) -> None:
    """Write down what a checkpoint's files are, when all of them are there."""
    sync_tree(folder)
    write_durably(folder / _SEAL, json.dumps(_digests(folder)).encode())


def newest_whole(run: Path) -> Path | None:
    """The last checkpoint of a run that is as it was sealed; ``None``: there is none.

    Those that are not are told of in one warning each, and removed, so that nothing is ever resumed from them.
    """
    found = sorted(run.glob(f"{_PREFIX}*"), key=_step, reverse=True)
    for folder in found:
        if _is_whole(folder):
            return folder
        warnings.warn(f"{folder}: this checkpoint was cut short or altered; it is left out.", stacklevel=2)
        shutil.rmtree(folder)
    return None


def _step(folder: Path) -> int:
    number = folder.name.removeprefix(_PREFIX)
    return int(number) if number.isdigit() else -1


def _is_whole(folder: Path) -> bool:
    try:
        said = json.loads((folder / _SEAL).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(said == _digests(folder))


def _digests(folder: Path) -> dict[str, str]:
    out = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file() and path.name != _SEAL):
        with path.open("rb") as file:
            out[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return out
