"""The sum: standardised signals with one weight each, fitted as a conditional logit (McFadden 1974)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from kuapin.ranking.lists import Lists
from kuapin.retrieval.source import Scores

L2 = 1e-3


@dataclass(frozen=True)
class Linear:
    """score = Σ_k weight_k · (x_k - mean_k) over the first ``len(weight)`` features; an unknown x_k is its mean.

    Attributes:
        weight: float64 (k,).
        mean: float64 (k,).
    """

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]

    def score(self, features: Scores) -> NDArray[np.float64]:
        """float64 (n,) from float32 (n, f)."""
        return np.asarray(self.contributions(features).sum(axis=1), np.float64)

    def contributions(self, features: Scores) -> NDArray[np.float64]:
        """What every signal adds to the score, float64 (n, k)."""
        part = features[:, : len(self.weight)].astype(np.float64) - self.mean
        return np.nan_to_num(part, nan=0.0) * self.weight


def fit_linear(lists: Lists, signals: int) -> Linear:
    """Maximise the weighted log-likelihood of the right candidates among all of their list.

    Args:
        lists: each useful one counts with its weight; its right candidates share that weight.
        signals: the first so many features take part.
    """
    useful = lists.useful()
    x = useful.features[:, :signals].astype(np.float64)
    mean = np.nan_to_num(np.nanmean(x, axis=0)) if len(x) else np.zeros(signals)
    spread = np.nan_to_num(np.nanstd(x, axis=0)) if len(x) else np.zeros(signals)
    live = spread > 1e-6
    if not live.any() or len(useful) == 0:
        return Linear(np.zeros(signals), mean)
    z = np.nan_to_num((x[:, live] - mean[live]) / spread[live])
    users, starts = useful.users, useful.indptr[:-1]
    right = np.bincount(users, weights=useful.relevant, minlength=len(useful))
    share = useful.relevant * (useful.weight / right)[users] / useful.weight.sum()
    list_share = useful.weight / useful.weight.sum()
    observed = share @ z

    def loss(weight: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = z @ weight
        margin -= np.maximum.reduceat(margin, starts)[users]
        exp = np.exp(margin)
        total = np.add.reduceat(exp, starts)
        expected = (exp * (list_share / total)[users]) @ z
        value = float(list_share @ np.log(total) - share @ margin + L2 * weight @ weight)
        return value, expected - observed + 2 * L2 * weight

    found = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    weight = np.zeros(signals)
    weight[live] = found.x / spread[live]
    return Linear(weight, mean)
