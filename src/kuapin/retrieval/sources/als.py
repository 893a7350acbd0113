"""Implicit alternating least squares: a shared space of users and items (Hu, Koren, Volinsky 2008)."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.parallel import over_users
from kuapin.retrieval.selection import Best, gather, pairs_by_user
from kuapin.retrieval.source import Arrays, Candidates, Scores, Source, Visible

FIRST_BLOCK = 4_096
"""Items looked at first; then twice as many each time."""


class AlsConfig(BaseModel):
    """Size and regularisation of the factors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding_size: int = Field(64, ge=1, le=1_024, description="Number of factors.")
    alpha: float = Field(10.0, gt=0, description="Confidence of an interaction is 1 + alpha · log2(1 + count).")
    regularization: float = Field(10.0, gt=0, description="L2 penalty on every factor vector.")
    epochs: int = Field(15, ge=1, description="Alternations between users and items.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the first factors.")


class Als(Source):
    """Score = x · y: y the item's factors, x the user's, solved from the history at hand (fold-in).

    x = (YᵀY + Σ (c − 1) y yᵀ + λ I)⁻¹ Σ c y over the items of the history, c their confidence: one half-step of the
    training, so that a new user and one seen in training are treated alike, and no user is stored.
    Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; the factors
    come from the library ``implicit``. Floor: 0, items that nobody met and users without history; known items may
    score below it.
    """

    name = "als"
    cold_items = False
    personal = True

    def __init__(self, config: AlsConfig | None = None) -> None:
        self.config = config or AlsConfig()

    def fit(self, visible: Visible) -> Self:
        """Factorise the visible interactions."""
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        matrix = visible.histories.matrix(binary=False)
        with threadpool_limits(1, "blas"):  # implicit has threads of its own, one a core
            model = AlternatingLeastSquares(
                factors=self.config.embedding_size,
                regularization=self.config.regularization,
                iterations=self.config.epochs,
                random_state=self.config.seed,
            )
            model.fit(self.confidence(matrix), show_progress=False)
        self.factors = np.asarray(model.item_factors, np.float32)
        self.factors[np.bincount(matrix.indices, minlength=matrix.shape[1]) == 0] = 0.0
        return self

    def confidence(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """1 + alpha · log2(1 + count) where something is stored."""
        confidence = counts.copy()
        confidence.data = (1.0 + self.config.alpha * np.log2(1.0 + counts.data)).astype(np.float32)
        return confidence

    def users(self, histories: Histories) -> Scores:
        """Factors of users from their histories, float32 (n_users, embedding_size)."""
        confidence = self.confidence(histories.matrix(binary=False))
        size = self.factors.shape[1]
        base = self.factors.T @ self.factors + self.config.regularization * np.eye(size, dtype=np.float32)
        right = np.asarray(confidence @ self.factors, np.float32)

        def solve(first: int, stop: int) -> Scores:
            left = np.empty((stop - first, size, size), np.float32)
            for user in range(first, stop):
                part = slice(confidence.indptr[user], confidence.indptr[user + 1])
                known = self.factors[confidence.indices[part]]
                left[user - first] = base + (known.T * (confidence.data[part] - 1.0)) @ known
            return np.linalg.solve(left, right[first:stop, :, None])[:, :, 0]

        return np.concatenate(over_users(solve, len(histories)))

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Inner products, float32 (n_users, n_items)."""
        factors = self.factors if items is None else self.factors[items]
        return self.users(histories) @ factors.T

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The items with the largest positive inner products.

        Items are looked at by falling length of their factors. Once a user's n-th best score exceeds the length of
        his factors times that of the next item's, no later item can be among his best: the result is exact.
        """
        users = self.users(histories)
        rows = np.arange(len(self.factors)) if items is None else np.asarray(items)
        norms = np.linalg.norm(self.factors[rows], axis=1)
        by_norm = np.argsort(-norms, kind="stable")
        by_norm = by_norm[norms[by_norm] > 0]
        factors, norms, rows = self.factors[rows[by_norm]], norms[by_norm], rows[by_norm].astype(np.int32)

        def run(first: int, stop: int) -> list[Best]:
            return _largest_products(users[first:stop], factors, norms, rows, n)

        return gather([best for part in over_users(run, len(histories)) for best in part])

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        users = self.users(histories)
        return pairs_by_user(lambda user, wanted: self.factors[wanted] @ users[user], indptr, items)

    def arrays(self) -> Arrays:
        """`factors`: float32 (n_items, embedding_size)."""
        return {"factors": self.factors}

    def restore(self, arrays: Arrays) -> Self:
        """Take `factors`."""
        self.factors = np.asarray(arrays["factors"], np.float32)
        return self


def _largest_products(users: Scores, factors: Scores, norms: Scores, rows: NDArray[np.int32], n: int) -> list[Best]:
    """The ``n`` largest positive products of every user with ``factors``, whose ``norms`` fall."""
    lengths = np.linalg.norm(users, axis=1) * 1.001  # the bound must hold in float32 too
    best: list[Best] = [(np.empty(0, np.int32), np.empty(0, np.float32))] * len(users)
    worst = np.zeros(len(users), np.float32)
    start, size = 0, FIRST_BLOCK
    while start < len(rows):
        active = np.flatnonzero(lengths * norms[start] > worst)
        if len(active) == 0:
            break
        products = users[active] @ factors[start : start + size].T
        for user, row in zip(active, products, strict=True):
            columns = best_columns(row, n, floor=worst[user])
            best[user] = _merged(best[user], (rows[start + columns], row[columns]), n)
            if len(best[user][1]) == n:
                # Just below, so that an equal score with a smaller item row still gets in.
                worst[user] = np.nextafter(best[user][1][-1], np.float32(0))
        start, size = start + size, 2 * size
    return best


def _merged(old: Best, new: Best, n: int) -> Best:
    items, scores = np.concatenate((old[0], new[0])), np.concatenate((old[1], new[1]))
    order = np.lexsort((items, -scores))[:n]
    return items[order], scores[order]
