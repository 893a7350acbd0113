"""The user's own most frequent items: the strongest simple baseline where people buy again."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.distinct import distinct_items
from kuapin.retrieval.selection import Best, pairs_of_sparse, top_by_user
from kuapin.retrieval.source import Arrays, Candidates, Scores, Source, Visible


class RepeatConfig(BaseModel):
    """Nothing to set: the history says it all."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Repeat(Source):
    """Score: how often the user met the item, plus half the place of its last interaction in the history.

    The place runs from 0 (oldest) to 1 (newest), so that it decides among items met equally often and no others.
    Floor: 0, items that the user never met.
    """

    name = "repeat"
    cold_items = False
    personal = True
    learns = False

    def __init__(self, config: RepeatConfig | None = None) -> None:
        self.config = config or RepeatConfig()

    def fit(self, visible: Visible) -> Self:
        """Nothing is learned: whatever counts is in the history at hand."""
        return self

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Frequency and recency of every item, float32 (n_users, n_items); see the class."""
        matrix = frequencies(histories)
        return np.asarray((matrix if items is None else matrix[:, items]).toarray(), np.float32)

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The user's most frequent items; those never met are left out."""
        matrix = frequencies(histories)
        if items is not None:
            matrix = matrix @ sparse.diags_array(np.isin(np.arange(histories.n_items), items).astype(np.float32))

        def best(user: int) -> Best:
            part = slice(matrix.indptr[user], matrix.indptr[user + 1])
            values = matrix.data[part]
            columns = best_columns(values, n, floor=0.0)
            return matrix.indices[part][columns], values[columns]

        return top_by_user(best, len(histories))

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        return pairs_of_sparse(frequencies(histories), indptr, items)

    def arrays(self) -> Arrays:
        """Nothing."""
        return {}

    def restore(self, arrays: Arrays) -> Self:
        """Nothing to take."""
        return self


def frequencies(histories: Histories) -> sparse.csr_matrix:
    """The scores of ``Repeat`` as a user × item float32 CSR matrix with sorted columns."""
    met = distinct_items(histories)
    users = np.repeat(np.arange(len(histories)), np.diff(met.indptr))
    recency = (met.last - histories.indptr[users] + 1) / histories.lengths[users]
    return sparse.csr_matrix(
        ((met.counts + recency / 2).astype(np.float32), met.items, met.indptr),
        shape=(len(histories), histories.n_items),
    )
