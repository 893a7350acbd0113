"""EASE: the item–item weights that reconstruct the interactions best, in closed form (Steck 2019)."""

from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.linalg.lapack import spotrf, spotri

from kuapin.data.histories import Histories
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.parallel import over_users
from kuapin.retrieval.selection import Best, gather, pairs_by_user
from kuapin.retrieval.source import Arrays, Candidates, NewItems, Scores, Source, Visible

FEW = 16
"""For so few users the weights between history and candidates are read one by one; for more, whole rows are added."""


class EaseConfig(BaseModel):
    """EASE as evaluations compare with it; the ranker reads one of 3,000 items with L2 500, whatever is set here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    l2: float = Field(200.0, gt=0, description="L2 penalty on the weights, in users; larger for denser logs.")
    max_items: int = Field(8_000, ge=2, description="Only this many most frequent items take part; the others score 0.")


class Ease(Source):
    """Score = history · B, with B = −P / diag(P), diagonal 0, P = (XᵀX + l2 · I)⁻¹ and X the binary user × item matrix.

    H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. Memory is 2 · max_items² float32, time
    grows with its cube (two busy cores: 1 s at 2,000 items, 5 s at 4,000, 18 s at 8,000; ``benchmarks/index.py``).
    Floor: 0 exactly, items outside the most frequent ones.
    """

    name = "ease"
    cold_items = False
    personal = True

    def __init__(self, config: EaseConfig | None = None) -> None:
        self.config = config or EaseConfig()

    def fit(self, visible: Visible) -> Self:
        """Solve for the weights of the most frequent items that at least one user met."""
        matrix = visible.histories.matrix()
        frequency = np.bincount(matrix.indices, minlength=matrix.shape[1])
        best = np.lexsort((np.arange(len(frequency)), -frequency))[: self.config.max_items]
        self.n_items = matrix.shape[1]
        self.rows = np.sort(best[frequency[best] > 0]).astype(np.int32)
        frequent = matrix[:, self.rows]
        self.weights = ease_weights((frequent.T @ frequent).toarray(order="F"), self.config.l2)
        self._place = places(self.rows, self.n_items)
        return self

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """History times weights, float32 (n_users, n_items)."""
        place = self._place if items is None else self._place[items]
        scores = np.zeros((len(histories), len(place)), np.float32)
        scores[:, place >= 0] = self._frequent(histories) @ self.weights[:, place[place >= 0]]
        return scores

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The frequent items with the largest positive scores."""
        place = self._place if items is None else self._place[items]
        rows = self.rows[np.sort(place[place >= 0])]
        weights = self.weights if items is None else self.weights[:, self._place[rows]]
        seen = self._frequent(histories)

        def run(first: int, stop: int) -> list[Best]:
            columns = [(best_columns(row, n, floor=0.0), row) for row in seen[first:stop] @ weights]
            return [(rows[best], row[best]) for best, row in columns]

        return gather([best for part in over_users(run, len(histories)) for best in part])

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        place = self._place[items]
        scores = np.zeros(len(items), np.float32)
        if len(self.rows) == 0:
            return scores
        if len(histories) <= FEW:
            met = histories.distinct()
            own = np.split(met.items, met.indptr[1:-1])
            return pairs_by_user(lambda user, wanted: self._of_one(own[user], wanted), indptr, items)
        seen = self._frequent(histories)

        def run(first: int, stop: int) -> None:
            for user, row in zip(range(first, stop), seen[first:stop] @ self.weights, strict=True):
                part = slice(indptr[user], indptr[user + 1])
                scores[part] = np.where(place[part] >= 0, row[place[part]], 0.0)

        over_users(run, len(histories))
        return scores

    def _of_one(self, history: NDArray[np.int32], items: NDArray[np.int32]) -> Scores:
        """The scores of some items for one history's distinct items: no other weights are read."""
        met, place = self._place[history], self._place[items]
        met, known = met[met >= 0], np.flatnonzero(place >= 0)
        scores = np.zeros(len(items), np.float32)
        cells = met[:, None].astype(np.int64) * len(self.rows) + place[known]
        scores[known] = self.weights.ravel().take(cells).sum(axis=0)
        return scores

    def between(self, history: NDArray[np.integer], items: NDArray[np.integer]) -> Scores:
        """What each item of a history adds to the score of each item, float32 (len(history), len(items))."""
        added = np.zeros((len(history), len(items)), np.float32)
        known, wanted = (np.flatnonzero(self._place[rows] >= 0) for rows in (history, items))
        weights = self.weights[np.ix_(self._place[history[known]], self._place[items[wanted]])]
        added[np.ix_(known, wanted)] = weights
        return added

    def _frequent(self, histories: Histories) -> sparse.csr_matrix:
        return histories.matrix()[:, self.rows]

    def with_items(self, new: NewItems) -> Self:
        """New items are none of the most frequent."""
        other = copy(self)
        other.n_items = len(new.catalogue)
        other._place = places(self.rows, other.n_items)
        return other

    def arrays(self) -> Arrays:
        """`rows`: int32 (k,) item rows; `weights`: float32 (k, k); `n_items`: int64 (1,)."""
        return {"rows": self.rows, "weights": self.weights, "n_items": np.array([self.n_items], np.int64)}

    def restore(self, arrays: Arrays) -> Self:
        """Take `rows`, `weights` and `n_items`."""
        self.rows = np.asarray(arrays["rows"], np.int32)
        self.weights = np.asarray(arrays["weights"], np.float32)
        self.n_items = int(arrays["n_items"][0])
        self._place = places(self.rows, self.n_items)
        return self


def places(rows: NDArray[np.int32], n_items: int) -> NDArray[np.int32]:
    """Item row → its place in ``rows``, -1 for items that are not there: int32 (n_items,)."""
    place = np.full(n_items, -1, np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    return place


def ease_weights(gram: NDArray[np.float32], l2: float) -> Scores:
    """The weights B of EASE, float32 (k, k), diagonal 0.

    Args:
        gram: co-occurrence counts XᵀX, float32 (k, k) in Fortran order; overwritten.
        l2: the penalty.
    """
    if len(gram) == 0:
        return np.zeros((0, 0), np.float32)
    gram[np.diag_indices_from(gram)] += np.float32(l2)
    # Inverse by Cholesky, in place: a third of the time and of the memory of a general inverse.
    factor, _ = spotrf(gram, lower=1, overwrite_a=1)
    lower, _ = spotri(factor, lower=1, overwrite_c=1)
    weights: Scores = np.tril(lower) + np.tril(lower, -1).T
    weights /= -np.diag(weights).copy()
    np.fill_diagonal(weights, 0.0)
    return np.ascontiguousarray(weights)
