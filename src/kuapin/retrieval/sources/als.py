"""Implicit alternating least squares: a shared space of users and items (Hu, Koren, Volinsky 2008)."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.source import Arrays, Scores, Source, Visible


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
            model.fit(self._confidence(matrix), show_progress=False)
        self.factors = np.asarray(model.item_factors, np.float32)
        self.factors[np.bincount(matrix.indices, minlength=matrix.shape[1]) == 0] = 0.0
        return self

    def _confidence(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        confidence = counts.copy()
        confidence.data = (1.0 + self.config.alpha * np.log2(1.0 + counts.data)).astype(np.float32)
        return confidence

    def users(self, histories: Histories) -> Scores:
        """Factors of users from their histories, float32 (n_users, embedding_size)."""
        confidence = self._confidence(histories.matrix(binary=False))
        base = self.factors.T @ self.factors + self.config.regularization * np.eye(
            self.factors.shape[1], dtype=np.float32
        )
        left = np.empty((len(histories), *base.shape), np.float32)
        right = np.asarray(confidence @ self.factors, np.float32)
        for user in range(len(histories)):
            part = slice(confidence.indptr[user], confidence.indptr[user + 1])
            known = self.factors[confidence.indices[part]]
            left[user] = base + (known.T * (confidence.data[part] - 1.0)) @ known
        return np.linalg.solve(left, right[:, :, None])[:, :, 0]

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Inner products, float32 (n_users, n_items)."""
        factors = self.factors if items is None else self.factors[items]
        return self.users(histories) @ factors.T

    def arrays(self) -> Arrays:
        """`factors`: float32 (n_items, embedding_size)."""
        return {"factors": self.factors}

    def restore(self, arrays: Arrays) -> Self:
        """Take `factors`."""
        self.factors = np.asarray(arrays["factors"], np.float32)
        return self
