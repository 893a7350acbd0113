"""Loyalty: items of the brands, or of the leaf categories, that the user met."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.selection import pairs_by_user
from kuapin.retrieval.source import Arrays, Scores, Visible
from kuapin.retrieval.sources.groups import ByGroup


class _Loyalty(ByGroup):
    """Score = log(1 + how many distinct items of this item's group the user met). Floor: 0, no group in common."""

    learns = False

    def fit(self, visible: Visible) -> Self:
        """Take the groups of the catalogue."""
        return self.restore({"group": self.groups(visible.catalogue)})

    def of_groups(self, histories: Histories) -> sparse.csr_matrix:
        """Counts of the history by group."""
        counts = (histories.matrix() @ self.items_of).tocsr()
        counts.data = np.log1p(counts.data)
        return counts

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        met = self.met(histories)

        def score(user: int, wanted: NDArray[np.int32]) -> Scores:
            counts = met(user)
            counts[-1] = 0
            return np.log1p(counts[self.group[wanted]]).astype(np.float32)

        return pairs_by_user(score, indptr, items)

    def arrays(self) -> Arrays:
        """`group`: int32 (n_items,), -1 where there is none."""
        return {"group": self.group}

    def restore(self, arrays: Arrays) -> Self:
        """Take `group`."""
        self.keep_groups(np.asarray(arrays["group"], np.int32))
        return self


class Brand(_Loyalty):
    """Loyalty to brands, in whatever category."""

    name = "brand"
    by = "brand"


class Leaf(_Loyalty):
    """Loyalty to leaf categories."""

    name = "leaf"
    by = "leaf"
