"""What another policy would have earned, from a log of what one policy showed and with which probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.errors import InputError
from kuapin.evaluation.bootstrap import RESAMPLES, Interval, Vector, interval, ratio_interval


@dataclass(frozen=True)
class OffPolicy:
    """The mean reward of a choice under the policy that made the log and under a new one.

    Attributes:
        choices: that were logged.
        logged: mean reward as it came.
        ips: inverse propensity scoring (Horvitz and Thompson 1952): mean of w·r, with w = new / logged probability.
        snips: self-normalised (Swaminathan and Joachims 2015): sum of w·r by the sum of w.
        dr: doubly robust (Dudík et al. 2011): mean of q(new) + w·(r - q(logged)), q a model of the reward.
        covered: mean of w: the share of the new policy's choices that the log can speak of, 1 but for chance where
            the log's policy could have made all of them.
        effective: (sum of w)² / sum of w²: so many choices of the new policy itself would tell as much.
    """

    choices: int
    logged: Interval
    ips: Interval
    snips: Interval
    dr: Interval
    covered: Interval
    effective: float


def off_policy(
    reward: Vector,
    propensity: Vector,
    target: Vector,
    expected: Vector,
    expected_new: Vector,
    *,
    clusters: NDArray[np.integer] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> OffPolicy:
    """Estimate the value of a new policy.

    Args:
        reward: float64 (n,), of every logged choice.
        propensity: float64 (n,), probability with which the log's policy made it, in (0, 1].
        target: float64 (n,), probability with which the new policy would have.
        expected: float64 (n,), a model's reward of the logged choice. The model must not have learnt from the choice
            itself, or what it knows by heart counts as knowledge.
        expected_new: float64 (n,), its mean reward of the new policy's choice in the same place.
        clusters: int (n,), choices with the same number (of one user) are drawn together.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: a propensity is outside (0, 1], or nothing was logged.
    """
    if len(reward) == 0:
        raise InputError(
            "There are no choices with a propensity below 1, so that nothing can be told of another policy."
        )
    if not ((propensity > 0) & (propensity <= 1)).all():
        raise InputError(f"A propensity lies above 0 and is at most 1; {propensity.min():g} came. Correct the log.")
    weight = target / propensity
    weighted = weight * reward
    corrected = expected_new + weight * (reward - expected)
    means = (
        interval(v, clusters=clusters, resamples=resamples, seed=seed) for v in (reward, weighted, corrected, weight)
    )
    logged, ips, dr, covered = means
    snips = ratio_interval(weighted, weight, clusters=clusters, resamples=resamples, seed=seed)
    effective = float(weight.sum() ** 2 / max(float((weight**2).sum()), 1e-300))
    return OffPolicy(len(reward), logged, ips, snips, dr, covered, effective)
