"""A comparison that may be looked at whenever one likes: what a randomised treatment changes, with an interval.

An interval for one fixed number of people is wrong for whoever looks again and again and stops when he likes what he
sees. A confidence sequence holds at all numbers of people at once: with a probability of 1 - level the true effect lies
within it at every look. This one is the normal mixture of Waudby-Smith et al. (2024, Annals of Statistics 52,
asymptotic confidence sequences), which mSPRT (Johari et al. 2017) is the test of; the effect of a person is scored as
there by augmented inverse probability weighting, with the means of those who came before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, xlogy

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Sequence:
    """The effect after every person, float64 (n,) each: mean(treated) - mean(others), and the ends of its interval."""

    effect: Vector
    low: Vector
    high: Vector


def confidence_sequence(
    treated: NDArray[np.bool_], outcome: NDArray[np.floating], share: float, level: float, tuned_for: int
) -> Sequence:
    """What a treatment changes, at every number of people so far.

    The guarantee is that of the central limit theorem: it holds from some hundred people a group on.

    Args:
        treated: bool (n,), in the order in which people came; drawn with the same probability for everybody.
        outcome: (n,), of one person each, such as 1 for a purchase.
        share: that probability, between 0 and 1.
        level: chance that the true effect ever lies outside, such as 0.05.
        tuned_for: number of people at which the interval is narrowest; any other is valid too.

    Returns:
        Ends at ±inf for the first person.
    """
    y, drawn = np.asarray(outcome, np.float64), np.asarray(treated, np.bool_)
    ours, theirs = _mean_before(y, drawn), _mean_before(y, ~drawn)
    weighted = np.where(drawn, (y - ours) / share, -(y - theirs) / (1 - share))
    score = ours - theirs + weighted
    n = np.arange(1, len(y) + 1)
    effect = np.cumsum(score) / n
    spread = np.maximum(np.cumsum(score**2) / n - effect**2, 0.0)
    rho2 = (-2 * np.log(level) + np.log(1 - 2 * np.log(level))) / tuned_for
    reach = np.sqrt(spread * (n * rho2 + 1) / (n**2 * rho2) * np.log((n * rho2 + 1) / level**2))
    reach[:1] = np.inf
    return Sequence(effect, effect - reach, effect + reach)


def mismatch(treated: int, n: int, share: float) -> float:
    """Evidence that people did not come to the groups as they were drawn; above 1 / level it is no chance.

    A Bayes factor of a uniform share against the drawn one, whose expectation is 1 at every look (Ville 1939; Lindon
    and Malek 2022): with it too one may look as often as one likes.

    Args:
        treated: how many of them were treated.
        n: people so far.
        share: the probability of being treated.
    """
    others = n - treated
    expected = xlogy(treated, share) + xlogy(others, 1 - share)
    return float(np.exp(min(betaln(treated + 1, others + 1) - betaln(1, 1) - expected, 700.0)))


def _mean_before(values: Vector, kept: NDArray[np.bool_]) -> Vector:
    """Mean of the kept values before each place, 0 where there are none."""
    ones, own = kept.astype(np.float64), np.where(kept, values, 0.0)
    count, total = np.cumsum(ones) - ones, np.cumsum(own) - own
    return np.asarray(total / np.maximum(count, 1), np.float64)
