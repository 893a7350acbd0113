"""A contextual bandit, linear in features of context and choice: Thompson sampling, with propensities."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

DRAWS = 200
"""Draws by which the probability of being the best is told."""
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class LinearBandit:
    """Bayesian ridge regression of the reward (Agrawal and Goyal 2013 draw from its posterior).

    Attributes:
        mean: float64 (f,), of the weights.
        root: float64 (f, f), of the covariance of the weights: ``root @ root.T``.
    """

    mean: Vector
    root: NDArray[np.float64]

    @classmethod
    def fit(cls, features: NDArray[np.float64], reward: Vector, ridge: float, spread: float) -> Self:
        """Learn from logged choices, which depended on nothing that matters but the features.

        Args:
            features: float64 (n, f), of the choices made; n may be 0.
            reward: float64 (n,), what they brought.
            ridge: choices that the belief that nothing matters counts as.
            spread: standard deviation of a reward, at least.
        """
        n_features = features.shape[1]
        precision = features.T @ features + ridge * np.eye(n_features)
        mean = np.asarray(np.linalg.solve(precision, features.T @ reward), np.float64)
        rest = reward - features @ mean
        noise = max(float(rest.std()) if len(rest) else 0.0, spread)
        return cls(mean, np.asarray(noise * np.linalg.inv(np.linalg.cholesky(precision)).T, np.float64))

    def expected(self, features: NDArray[np.float64]) -> Vector:
        """Mean reward, float64 (...,), of features (..., f)."""
        return np.asarray(features @ self.mean, np.float64)

    def chances(self, features: NDArray[np.float64], floor: float, rng: np.random.Generator) -> Vector:
        """The probability of every choice, float64 (k,): how often it is the best of the draws, and a floor.

        Args:
            features: float64 (k, f), of the choices.
            floor: share of the probability that is spread evenly.
            rng: of the draws.
        """
        weights = self.mean + rng.standard_normal((DRAWS, len(self.mean))) @ self.root.T
        best = np.argmax(weights @ features.T, axis=1)
        often = np.bincount(best, minlength=len(features)) / DRAWS
        return np.asarray((1 - floor) * often + floor / len(features), np.float64)
