"""The user's own most frequent items: the strongest simple baseline where people buy again."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.selection import pairs_of_sparse, top_of_sparse
from kuapin.retrieval.source import Arrays, Candidates, Scores, Source, Visible


class RepeatConfig(BaseModel):
    """Nothing to set: the history says it all."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Repeat(Source):
    """Score: how often the user met the item, plus less than 1 for recency among the items met equally often.

    Of g items met equally often, the r-th oldest (r from 1, by its last interaction) gets r / (g + 1).
    Floor: 0, items that the user never met.
    """

    name = "repeat"
    cold_items = False
    personal = True

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
        return top_of_sparse(frequencies(histories), n, items)

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
    pair = histories.users.astype(np.int64) * histories.n_items + histories.items
    order = np.argsort(pair, kind="stable")  # within a pair the interactions stay oldest first
    last = np.flatnonzero(np.diff(pair[order], append=-1))
    count = np.diff(last, prepend=-1)
    user = histories.users[order[last]]
    group = np.lexsort((order[last], count, user))  # tie groups next to each other, oldest first
    start = np.flatnonzero(np.diff(user[group], prepend=-1) | np.diff(count[group], prepend=-1))
    size = np.diff(start, append=len(group))
    fraction = np.empty(len(group))
    fraction[group] = (np.arange(len(group)) - np.repeat(start, size) + 1) / (np.repeat(size, size) + 1)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(user, minlength=len(histories)))))
    return sparse.csr_matrix(
        ((count + fraction).astype(np.float32), histories.items[order[last]], indptr),
        shape=(len(histories), histories.n_items),
    )
