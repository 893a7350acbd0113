"""Popularity of items that nobody has met yet: what reads like them did well or badly in the other categories."""

from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import cho_factor, cho_solve

from kuapin.errors import InputError
from kuapin.retrieval.same_for_all import SameForAll
from kuapin.retrieval.source import Scores, Visible


class PredictedPopularityConfig(BaseModel):
    """How strongly the regression is held back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    l2: float = Field(1.0, gt=0, description="L2 penalty, in units of the mean variance of the texts' directions.")


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
        self.scores = np.zeros(len(vectors), np.float32)
        if learnt.any():
            lift = np.log((users[learnt] + 0.5) / (mean[category[learnt]] + 0.5))
            self.scores[scored] = np.exp(vectors[scored] @ self._weights(vectors[learnt], lift.astype(np.float32)))
        return self

    def _weights(self, vectors: Scores, lift: Scores) -> Scores:
        gram = (vectors.T @ vectors).astype(np.float64)
        gram[np.diag_indices_from(gram)] += self.config.l2 * max(float(np.trace(gram)) / len(gram), 1e-9)
        return np.asarray(cho_solve(cho_factor(gram), vectors.T @ (lift - lift.mean())), np.float32)
