"""Popularity of items that nobody has met yet: what reads like them did well or badly in the other categories."""

from copy import copy
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import cho_factor, cho_solve

from kuapin.errors import InputError
from kuapin.retrieval.same_for_all import SameForAll
from kuapin.retrieval.source import Arrays, NewItems, Scores, Visible


class PredictedPopularityConfig(BaseModel):
    """How strongly the regression is held back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    l2: float = Field(1.0, gt=0, description="L2 penalty, in units of the mean eigenvalue of the Gram matrix.")


class PredictedPopularity(SameForAll):
    """Score = exp(w · v), the predicted multiple of the users that a mean item of the category has.

    w is the ridge regression of log((users + ½) / (mean users of the category + ½)) on the whitened text vector v, over
    the items outside the opening whose categories were met. Where a category opens, only its own items get scores, and
    nothing that happened among them is read; else all do. Floor: 0, nothing was met anywhere.
    """

    name = "predicted_popularity"
    cold_items = True

    def __init__(self, config: PredictedPopularityConfig | None = None) -> None:
        self.config = config or PredictedPopularityConfig()

    def fit(self, visible: Visible) -> Self:
        """Solve the regression.

        Raises:
            InputError: there are no vectors.
        """
        vectors = visible.whitened()
        if vectors is None:
            raise InputError("The source 'predicted_popularity' needs text vectors, and none came. Encode the items.")
        users = np.bincount(visible.histories.matrix().indices, minlength=len(vectors)).astype(np.float64)
        category = visible.catalogue.category
        mean = np.bincount(category, weights=users) / np.maximum(np.bincount(category), 1)
        learnt = mean[category] > 0
        scored = np.ones(len(vectors), np.bool_)
        if visible.opening is not None:
            learnt[visible.opening] = False
            scored[:] = False
            scored[visible.opening] = True
        self.scores, self.weights = np.zeros(len(vectors), np.float32), np.zeros(vectors.shape[1], np.float32)
        if learnt.any():
            lift = np.log((users[learnt] + 0.5) / (mean[category[learnt]] + 0.5))
            self.weights = self._solved(vectors[learnt], lift.astype(np.float32))
            self.scores[scored] = np.exp(vectors[scored] @ self.weights)
        return self

    def with_items(self, new: NewItems) -> Self:
        """New items have what their texts let expect."""
        other = copy(self)
        expected = np.exp(new.white @ self.weights) if new.white is not None and self.weights.any() else 0.0
        other.scores = new.into(self.scores, expected)
        return other

    def arrays(self) -> Arrays:
        """`scores`: float32 (n_items,); `weights`: float32 (d,)."""
        return {"scores": self.scores, "weights": self.weights}

    def restore(self, arrays: Arrays) -> Self:
        """Take `scores` and `weights`."""
        self.weights = np.asarray(arrays["weights"], np.float32)
        return super().restore(arrays)

    def _solved(self, vectors: Scores, lift: Scores) -> Scores:
        gram = (vectors.T @ vectors).astype(np.float64)
        gram[np.diag_indices_from(gram)] += self.config.l2 * max(float(np.trace(gram)) / len(gram), 1e-9)
        return np.asarray(cho_solve(cho_factor(gram), vectors.T @ (lift - lift.mean())), np.float32)
