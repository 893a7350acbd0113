"""Sources whose score of an item is the same for everybody."""

from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.retrieval.selection import allowed
from kuapin.retrieval.source import Arrays, Candidates, NewItems, Scores, Source


class SameForAll(Source):
    """One score an item, kept in ``scores``, float32 (n_items,), by ``fit``. Floor: 0, nothing to say of an item."""

    personal = False
    scores: Scores
    _ordered: tuple[Scores, NDArray[np.int32]] | None = None

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """The same row for every user, float32 (n_users, n_items); a read-only view that takes no memory."""
        row = self.scores if items is None else self.scores[items]
        return np.broadcast_to(row, (len(histories), len(row)))

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The same list for every user, without the items at the floor."""
        best = self._order()
        if items is not None:
            may = allowed(items, len(self.scores))
            first = best[: 4 * n]
            first = first[may[first]]
            best = first if len(first) >= n else best[may[best]]
        best = best[:n]
        users = len(histories)
        indptr = np.arange(users + 1, dtype=np.int64) * len(best)
        return Candidates(indptr, np.tile(best, users), np.tile(self.scores[best], users))

    def _order(self) -> NDArray[np.int32]:
        """The rows above the floor, best first, ties by row: found once for the scores at hand."""
        if self._ordered is None or self._ordered[0] is not self.scores:
            order = np.lexsort((np.arange(len(self.scores)), -self.scores)).astype(np.int32)
            self._ordered = self.scores, order[self.scores[order] > 0]
        return self._ordered[1]

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        return self.scores[items]

    def with_items(self, new: NewItems) -> Self:
        """New items are at the floor."""
        other = copy(self)
        other.scores = new.padded(self.scores)
        return other

    def arrays(self) -> Arrays:
        """`scores`: float32 (n_items,)."""
        return {"scores": self.scores}

    def restore(self, arrays: Arrays) -> Self:
        """Take `scores`."""
        self.scores = np.asarray(arrays["scores"], np.float32)
        return self
