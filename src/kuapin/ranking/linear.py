"""The sum: standardised signals with one weight each, fitted as a conditional logit (McFadden 1974)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.ranking.lists import Lists
from kuapin.retrieval.source import Scores

PRIOR = {"repeat": 1.0, "popularity": 0.5, "item_knn": 1.0, "adapted": 0.3, "lexical": 0.3, "brand": 0.3}
"""Weights of the signals before anything was learnt; the others count nothing."""
L2 = 1e-3
FEW_LISTS = 100
"""With so many lists the L2 of what departs from the prior weights is 1; with 3,000 no more than ``L2``."""


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


def prior_weights(names: Sequence[str]) -> NDArray[np.float64]:
    """The weights of some signals before anything was learnt, float64 (k,)."""
    return np.array([PRIOR.get(name, 0.0) for name in names], np.float64)


def fit_linear(lists: Lists, prior: NDArray[np.float64]) -> Linear:
    """Maximise the weighted log-likelihood of the right candidates among all of their list.

    The weights are a multiple, 0 or more, of the prior weights and a departure from it. The multiple is free, for what
    is known beforehand is the proportion of the signals. The departure (of standardised signals) is held to 0 by an L2
    of ``(FEW_LISTS / lists)²``, at least ``L2``: with few lists the sum is in effect the fixed one, with thousands the
    prior says nothing.

    Args:
        lists: each useful one counts with its weight; its right candidates share that weight.
        prior: float64 (k,), weights on the signals' own scale (``prior_weights``); the first ``k`` features take part.
    """
    from scipy.optimize import minimize  # at training alone: a service starts without it

    useful, signals = lists.useful(), len(prior)
    x = useful.features[:, :signals].astype(np.float64)
    mean = np.nan_to_num(np.nanmean(x, axis=0)) if len(x) else np.zeros(signals)
    spread = np.nan_to_num(np.nanstd(x, axis=0)) if len(x) else np.zeros(signals)
    live = spread > 1e-6
    if not live.any() or len(useful) == 0:
        return Linear(np.zeros(signals), mean)
    z = np.nan_to_num((x[:, live] - mean[live]) / spread[live])
    towards = (prior * spread)[live]
    towards /= max(float(np.linalg.norm(towards)), 1e-12)
    users, starts = useful.users, useful.indptr[:-1]
    right = np.bincount(users, weights=useful.relevant, minlength=len(useful))
    share = useful.relevant * (useful.weight / right)[users] / useful.weight.sum()
    list_share = useful.weight / useful.weight.sum()
    observed = share @ z
    l2 = np.append(np.full(z.shape[1], max(L2, (FEW_LISTS / len(useful)) ** 2)), L2)

    def loss(free: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Of the departure and, last, the multiple."""
        margin = z @ (free[:-1] + free[-1] * towards)
        margin -= np.maximum.reduceat(margin, starts)[users]
        exp = np.exp(margin)
        total = np.add.reduceat(exp, starts)
        slope = (exp * (list_share / total)[users]) @ z - observed
        value = float(list_share @ np.log(total) - share @ margin + l2 @ free**2)
        return value, np.append(slope, slope @ towards) + 2 * l2 * free

    bounds = [(None, None)] * z.shape[1] + [(0.0, None)]
    start = np.zeros(len(l2))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200}).x
    weight = np.zeros(signals)
    weight[live] = (found[:-1] + found[-1] * towards) / spread[live]
    return Linear(weight, mean)
