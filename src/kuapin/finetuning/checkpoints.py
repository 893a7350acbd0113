"""Checkpoints of a run: sealed when they are whole, so that one that was cut short is never gone on from."""

import hashlib
import json
import shutil
import warnings
from pathlib import Path

from kuapin.durable import sync_tree, write_durably

STATE = "trainer_state.json"
"""Written by the Trainer: what was measured so far, and which checkpoint was best."""
_SEAL = "complete.json"
_PREFIX = "checkpoint-"


def seal(folder: Path) -> None:
    """Write down what a checkpoint's files are, when all of them are there."""
    sync_tree(folder)
    write_durably(folder / _SEAL, json.dumps(_digests(folder)).encode())


def newest_whole(run: Path) -> Path | None:
    """The last checkpoint of a run that is as it was sealed, as is the best that it names; ``None``: there is none.

    Those that are not are told of in one warning each, and removed, so that nothing is ever resumed from them.
    """
    for folder in sorted(run.glob(f"{_PREFIX}*"), key=_step, reverse=True):
        if not _is_whole(folder):
            what = "this checkpoint"
        elif (best := best_of(folder)) != folder and not _is_whole(best):
            what = f"the best before it, {best.name},"
        else:
            return folder
        warnings.warn(f"{folder}: {what} was cut short or altered; it is left out.", stacklevel=2)
        shutil.rmtree(folder)
    return None


def best_of(folder: Path) -> Path:
    """The best checkpoint up to one of them, beside it; itself where nothing had been measured."""
    step = json.loads((folder / STATE).read_bytes())["best_global_step"]
    return folder if step is None else folder.with_name(f"{_PREFIX}{step}")


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
