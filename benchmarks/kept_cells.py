"""Finished cells on disk, so that an interrupted benchmark goes on where it was."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.cell import Cell
from benchmarks.harness import commit
from benchmarks.sets import cache_folder
from kuapin.evaluation.metrics.registry import PerUser

USER = "user"
FACTS = "facts"


class KeptCells:
    """The cells of one launch, one Parquet file each, of this commit and these settings; of no other.

    A tree with changes that are not committed keeps nothing: what they were could not be told later.
    """

    def __init__(self, launch: str, settings: dict[str, Any]) -> None:
        known = json.dumps([commit(), launch, settings], sort_keys=True)
        self.folder = cache_folder() / "cells" / hashlib.sha256(known.encode()).hexdigest()[:16]
        self.lasting = re.fullmatch("[0-9a-f]+", commit()) is not None

    def get(self, shot: float, seed: int) -> Cell | None:
        """The cell of an earlier run, or ``None``."""
        path = self._path(shot, seed)
        if not self.lasting or not path.exists():
            return None
        frame, facts = pl.read_parquet(path), json.loads(pl.read_parquet_metadata(path)[FACTS])
        outcomes: dict[str, dict[str, np.ndarray]] = {}
        for column in frame.columns[1:]:
            method, metric = json.loads(column)
            outcomes.setdefault(method, {})[metric] = frame[column].to_numpy()
        found = {method: PerUser(users, {}) for method, users in outcomes.items()}
        return Cell(shot, seed, frame[USER].to_numpy(), found, facts["seconds"])

    def put(self, cell: Cell) -> None:
        """Keep a cell; it is whole or not there."""
        if not self.lasting:
            return
        values = {
            json.dumps([method, metric]): one
            for method, outcome in cell.outcomes.items()
            for metric, one in outcome.users.items()
        }
        path = self._path(cell.shot, cell.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        facts = {FACTS: json.dumps({"seconds": cell.seconds})}
        pl.DataFrame({USER: cell.users} | values).write_parquet(draft, metadata=facts)
        draft.replace(path)

    def _path(self, shot: float, seed: int) -> Path:
        return self.folder / f"{shot:g}-{seed}.parquet"
