"""Implicit alternating least squares: a shared space of users and items (Hu, Koren, Volinsky 2008)."""

from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.parallel import over_users
from kuapin.retrieval.source import Arrays, Scores, Visible
from kuapin.retrieval.sources.factors import FactorSource


class AlsConfig(BaseModel):
    """Size and regularisation of the factors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding_size: int = Field(64, ge=1, le=1_024, description="Number of factors.")
    alpha: float = Field(10.0, gt=0, description="Confidence of an interaction is 1 + alpha · log2(1 + count).")
    regularization: float = Field(10.0, gt=0, description="L2 penalty on every factor vector.")
    epochs: int = Field(15, ge=1, description="Alternations between users and items.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the first factors.")


class Als(FactorSource):
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

    def arrays(self) -> Arrays:
        """`factors`: float32 (n_items, embedding_size)."""
        return {"factors": self.factors}

    def restore(self, arrays: Arrays) -> Self:
        """Take `factors`."""
        self.factors = np.asarray(arrays["factors"], np.float32)
        return self
