"""Where an interrupted training goes on."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.extras import require
from kuapin.sequence.item_representation import Vectors, Weights
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.validation import Validation


def checkpoint(folder: Path, of: str) -> Path:
    """Where a training keeps its state; ``of`` is its fingerprint, so that several share a folder."""
    return folder / f"user_model-{of[:16]}.pt"


def keep(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training."""
    torch = require("torch", "train")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    torch.save(state, draft)
    draft.replace(path)


def kept(path: Path) -> dict[str, Any] | None:
    """What ``keep`` wrote; ``None`` where there is nothing whole."""
    if not path.exists():
        return None
    torch = require("torch", "train")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torn by a crash; torch's errors share no narrower base
        return None
    return state


def fingerprint(
    histories: Histories,
    text: Vectors | None,
    categories: NDArray[np.int32],
    config: SequenceConfig,
    validation: Validation,
    start: Weights | None = None,
    openings: NDArray[np.int32] | None = None,
) -> str:
    """Hash of all that the result depends on."""
    queries = validation.queries
    arrays: list[NDArray[np.generic] | None] = [
        histories.indptr,
        histories.items,
        histories.times,
        histories.events,
        categories,
        text,
        openings,
    ]
    arrays += [queries.indptr, queries.items, queries.times, validation.answers, validation.items]
    arrays += [value for _, value in sorted((start or {}).items())]
    digest = hashlib.sha256(config.model_dump_json().encode())
    for array in arrays:
        if array is None:
            digest.update(b"none")
        else:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).ravel().data)  # read where they lie: texts of a shop fill memory
    return digest.hexdigest()
