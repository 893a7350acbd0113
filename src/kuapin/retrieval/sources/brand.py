"""Brand loyalty: items of the brands that the user met, in whatever category."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.selection import pairs_of_sparse
from kuapin.retrieval.source import Arrays, Scores, Source, Visible


class Brand(Source):
    """Score = log(1 + how many distinct items of this item's brand the user met). Floor: 0, no brand in common."""

    name = "brand"
    cold_items = True
    personal = True
    learns = False

    def fit(self, visible: Visible) -> Self:
        """Take the brands of the catalogue."""
        return self.restore({"brand": visible.catalogue.brand})

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Brand counts of the history, float32 (n_users, n_items)."""
        brand = self.brand if items is None else self.brand[items]
        met = np.asarray(self._met(histories).toarray(), np.float32)
        return np.where(brand >= 0, met[:, np.maximum(brand, 0)], np.float32(0))

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        brand = self.brand[items]
        found = pairs_of_sparse(self._met(histories), indptr, np.maximum(brand, 0).astype(np.int32))
        return np.where(brand >= 0, found, np.float32(0))

    def _met(self, histories: Histories) -> sparse.csr_matrix:
        counts = (histories.matrix() @ self._items_of).tocsr()
        counts.data = np.log1p(counts.data)
        return counts

    def arrays(self) -> Arrays:
        """`brand`: int32 (n_items,), -1 where there is none."""
        return {"brand": self.brand}

    def restore(self, arrays: Arrays) -> Self:
        """Take `brand`."""
        self.brand = np.asarray(arrays["brand"], np.int32)
        known = np.flatnonzero(self.brand >= 0)
        shape = (len(self.brand), int(self.brand.max(initial=0)) + 1)
        self._items_of = sparse.csr_matrix((np.ones(len(known), np.float32), (known, self.brand[known])), shape=shape)
        return self
