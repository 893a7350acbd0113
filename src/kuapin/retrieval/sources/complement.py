"""Complements by text: what the texts of things bought together say of things that nobody has bought yet."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from kuapin.errors import InputError
from kuapin.retrieval.source import Arrays, Scores, Visible
from kuapin.retrieval.sources.content import Content, ContentConfig, distinct_rows

BASKETS = 8_192
"""So many at a time: 8 bytes a dimension each, twice over."""


class ComplementConfig(ContentConfig):
    """How strongly the projection is held back."""

    l2: float = Field(0.1, gt=0, description="Ridge, in units of the mean squared length of a direction.")


class Complement(Content):
    """Score = cosine of the mean over the history of z_h W with z_i, on whitened vectors z.

    W = (Σ_b Σ_i z_i z_iᵀ + λ I)⁻¹ Σ_b Σ_i z_i t_iᵀ, t_i the mean vector of the rest of basket b: the least squares
    guess, from one item's text, of the texts that lie beside it (a linear form of Sceptre's complements, McAuley et al.
    2015). Of two items with one text both get the same; items that nobody has bought have complements and are
    complements. Floor: -1, users without a history.
    """

    name = "complement"
    learns = True

    def __init__(self, config: ComplementConfig | None = None) -> None:
        self.settings = config or ComplementConfig(whitened=True)
        super().__init__(self.settings.model_copy(update={"pooling": "mean"}))

    def fit(self, visible: Visible) -> Self:
        """Learn the projection from the histories, which are baskets.

        Raises:
            InputError: there are no vectors.
        """
        white = visible.whitened()
        if white is None:
            raise InputError("The source 'complement' needs text vectors, and none came. Encode the items.")
        self.vectors, self.text_of = distinct_rows(white)
        matrix = visible.histories.matrix()
        matrix = matrix[np.diff(matrix.indptr) > 1]
        self.projection = np.asarray(self._fitted(matrix), np.float32)
        return self

    def _fitted(self, matrix: sparse.csr_matrix) -> NDArray[np.float64]:
        d = self.vectors.shape[1]
        if matrix.shape[0] == 0:
            return np.eye(d)
        share = 1.0 / (np.diff(matrix.indptr) - 1)
        n = len(self.text_of)
        texts = matrix @ sparse.csr_matrix(
            (np.ones(n, np.float32), self.text_of, np.arange(n + 1)), (n, len(self.vectors))
        )
        rest = -self._squares(texts.T @ share)  # an item is not beside itself
        for start in range(0, texts.shape[0], BASKETS):
            part = slice(start, start + BASKETS)
            total = np.asarray(texts[part] @ self.vectors, np.float64)
            rest += total.T @ (total * share[part, None])
        gram = self._squares(np.asarray(texts.sum(axis=0)).ravel())
        ridge = max(self.settings.l2 * float(np.trace(gram)) / d, 1e-9)
        return np.asarray(np.linalg.solve(gram + ridge * np.eye(d), rest), np.float64)

    def _squares(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Σ w z zᵀ over the distinct texts, float64 (d, d)."""
        return np.asarray(self.vectors.T @ (self.vectors * weights[:, None]), np.float64)

    def _mean(self, total: Scores) -> Scores:
        return super()._mean(total @ self.projection)

    def between(self, history: NDArray[np.integer], items: NDArray[np.integer]) -> Scores:
        """What each item of a history adds, before the mean is brought to unit length: float32 (history, items)."""
        guess = self.vectors[self.text_of[history]] @ self.projection
        return np.asarray(guess @ self.vectors[self.text_of[items]].T, np.float32)

    def arrays(self) -> Arrays:
        """Those of content, and `projection`: float32 (d, d)."""
        return super().arrays() | {"projection": self.projection}

    def restore(self, arrays: Arrays) -> Self:
        """Take `vectors`, `text_of` and `projection`."""
        self.projection = np.asarray(arrays["projection"], np.float32)
        return super().restore(arrays)
