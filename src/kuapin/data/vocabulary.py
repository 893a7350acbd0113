"""External ids to rows and back: done once, at the public edge."""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin.errors import UnknownIdError

FEW = 64
"""So many ids are looked up one by one; more are joined."""


class Vocabulary:
    """An immutable two-way map between external ids (any string) and rows 0 … n-1.

    Args:
        ids: the ids in row order; they must be distinct.
        kind: what an id stands for, for messages (``"item"``).
    """

    def __init__(self, ids: Iterable[str] | pl.Series, kind: str) -> None:
        self.ids: pl.Series = (
            ids if isinstance(ids, pl.Series) else pl.Series("id", list(ids), dtype=pl.String)
        ).alias("id")
        self.kind = kind
        self._rows: dict[str, int] | None = None

    def __len__(self) -> int:
        return self.ids.len()

    def __contains__(self, external_id: str) -> bool:
        return external_id in self._lookup()

    def _lookup(self) -> dict[str, int]:
        if self._rows is None:
            self._rows = {external_id: row for row, external_id in enumerate(self.ids)}
        return self._rows

    def row(self, external_id: str) -> int:
        """The row of one id.

        Raises:
            UnknownIdError: the id is not in the vocabulary.
        """
        row = self._lookup().get(external_id)
        if row is None:
            raise UnknownIdError(
                f"There is no {self.kind} with the id {external_id!r} in this shop. Import it first, or correct the id."
            )
        return row

    def rows(self, external_ids: pl.Series | Sequence[str]) -> NDArray[np.int32]:
        """Rows of many ids, int32 of shape (n,); -1 where an id is unknown or null."""
        wanted = (
            external_ids
            if isinstance(external_ids, pl.Series)
            else pl.Series("id", list(external_ids), dtype=pl.String)
        )
        if wanted.len() <= FEW:
            lookup = self._lookup()
            return np.array([lookup.get(external_id, -1) for external_id in wanted], np.int32)
        known = pl.DataFrame({"id": self.ids, "row": np.arange(len(self), dtype=np.int32)})
        joined = wanted.alias("id").to_frame().join(known, on="id", how="left", maintain_order="left")
        return joined["row"].fill_null(-1).to_numpy().astype(np.int32, copy=False)

    def id(self, row: int) -> str:
        """The id of one row."""
        return str(self.ids[int(row)])

    def take(self, rows: NDArray[np.integer]) -> pl.Series:
        """Ids of many rows, in their order."""
        return self.ids.gather(rows)
