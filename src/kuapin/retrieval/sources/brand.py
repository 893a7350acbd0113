"""Loyalty: items of the brands, or of the leaf categories, that the user met."""

from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.selection import pairs_of_sparse
from kuapin.retrieval.source import Arrays, Scores, Source, Visible


class _Loyalty(Source):
    """Score = log(1 + how many distinct items of this item's group the user met). Floor: 0, no group in common."""

    cold_items = True
    personal = True
    learns = False
    by: ClassVar[Literal["leaf", "brand"]]

    def fit(self, visible: Visible) -> Self:
        """Take the groups of the catalogue."""
        catalogue = visible.catalogue
        return self.restore({"group": catalogue.leaf if self.by == "leaf" else catalogue.brand})

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Counts of the history by group, float32 (n_users, n_items)."""
        group = self.group if items is None else self.group[items]
        met = np.asarray(self._met(histories).toarray(), np.float32)
        return np.where(group >= 0, met[:, np.maximum(group, 0)], np.float32(0))

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        group = self.group[items]
        found = pairs_of_sparse(self._met(histories), indptr, np.maximum(group, 0).astype(np.int32))
        return np.where(group >= 0, found, np.float32(0))

    def _met(self, histories: Histories) -> sparse.csr_matrix:
        counts = (histories.matrix() @ self._items_of).tocsr()
        counts.data = np.log1p(counts.data)
        return counts

    def arrays(self) -> Arrays:
        """`group`: int32 (n_items,), -1 where there is none."""
        return {"group": self.group}

    def restore(self, arrays: Arrays) -> Self:
        """Take `group`."""
        self.group = np.asarray(arrays["group"], np.int32)
        known = np.flatnonzero(self.group >= 0)
        shape = (len(self.group), int(self.group.max(initial=0)) + 1)
        self._items_of = sparse.csr_matrix((np.ones(len(known), np.float32), (known, self.group[known])), shape=shape)
        return self


class Brand(_Loyalty):
    """Loyalty to brands, in whatever category."""

    name = "brand"
    by = "brand"


class Leaf(_Loyalty):
    """Loyalty to leaf categories."""

    name = "leaf"
    by = "leaf"
