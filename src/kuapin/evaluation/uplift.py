"""What a treatment changed: those who got it against comparable ones who did not, with overlap and balance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

TRIM = (0.05, 0.95)
"""Propensities outside are left out: there is nobody to compare with."""
L2 = 1e-3
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Matched:
    """Who is compared with whom, n people in all.

    Attributes:
        treated: bool (n,).
        weight: float64 (n,), 1 for the treated, odds of the propensity for the others, scaled to the same sum; 0 for
            whoever lies outside the overlap.
        propensity: float64 (n,), probability of being treated given the covariates.
        before: float64 (k,), standardised mean difference of every covariate without weights.
        after: float64 (k,), with them; below 0.1 counts as balanced (Austin 2011).
    """

    treated: NDArray[np.bool_]
    weight: Vector
    propensity: Vector
    before: Vector
    after: Vector

    @property
    def overlap(self) -> float:
        """Share of the treated who have anybody to compare with."""
        return float((self.weight[self.treated] > 0).mean()) if self.treated.any() else 0.0


def match(treated: NDArray[np.bool_], covariates: NDArray[np.floating]) -> Matched:
    """Weigh the untreated so that they look like the treated: by propensity, for the average effect on the treated.

    Rosenbaum and Rubin (1983); Austin (2011). The propensity is a logistic regression on the standardised covariates
    and their squares.

    Args:
        treated: bool (n,).
        covariates: (n, k), all from before the treatment; NaN counts as the mean.
    """
    z = _standardised(np.asarray(covariates, np.float64))
    propensity = _logistic(z, treated)
    inside = (propensity > TRIM[0]) & (propensity < TRIM[1])
    weight = np.where(inside, np.where(treated, 1.0, propensity / (1 - propensity)), 0.0)
    others = weight[~treated].sum()
    weight[~treated] *= weight[treated].sum() / max(others, 1e-12)
    return Matched(
        treated, weight, propensity, _differences(z, treated, np.ones(len(z))), _differences(z, treated, weight)
    )


def effect_on_treated(matched: Matched, outcome: Vector) -> tuple[float, float]:
    """Mean outcome of the treated inside the overlap, and of the others as weighed."""
    means = []
    for group in (matched.treated, ~matched.treated):
        weight = matched.weight[group]
        means.append(float(weight @ outcome[group] / max(weight.sum(), 1e-12)))
    return means[0], means[1]


def _standardised(x: Vector) -> Vector:
    mean, spread = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    return np.asarray(np.nan_to_num((x - mean) / np.maximum(spread, 1e-9)), np.float64)


def _logistic(z: Vector, treated: NDArray[np.bool_]) -> Vector:
    x = np.column_stack([z, np.minimum(z**2, 9.0), np.ones(len(z))])

    def loss(weight: Vector) -> tuple[float, Vector]:
        margin = x @ weight
        value = float((np.logaddexp(0, margin) - treated * margin).mean() + L2 * (weight[:-1] @ weight[:-1]))
        slope = x.T @ (expit(margin) - treated) / len(x)
        slope[:-1] += 2 * L2 * weight[:-1]
        return value, slope

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    return np.asarray(expit(x @ found), np.float64)


def _differences(z: Vector, treated: NDArray[np.bool_], weight: Vector) -> Vector:
    """Standardised mean differences; the spread is that of the unweighted treated and others."""
    if weight[treated].sum() == 0 or weight[~treated].sum() == 0:
        return np.full(z.shape[1], np.nan)
    one = np.average(z[treated], axis=0, weights=weight[treated])
    other = np.average(z[~treated], axis=0, weights=weight[~treated])
    spread = np.sqrt((z[treated].var(axis=0) + z[~treated].var(axis=0)) / 2)
    return np.asarray((one - other) / np.maximum(spread, 1e-9), np.float64)
