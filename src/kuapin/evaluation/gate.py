"""The gate: which categories a new model may serve. A test of non-inferiority on paired users, one a category.

The null hypothesis is a loss of at least the margin: mean(challenger) ≤ (1 - margin) · mean(champion). It is tested on
the users' differences d = challenger - (1 - margin) · champion by a one-sided t test (Fieller's device for a ratio of
paired means; Hauschke et al. 1999). Over categories the levels are Holm's (1979), so that the chance to let any bad
one pass is the level; over repeated looks at one champion the k-th look spends level · 6 / (π² k²), which sums to the
level. A category with few users borrows from the whole shop: its mean difference is drawn towards that of all others,
by ``trust`` users' worth; the standard error of the mixture is bounded by the sum of both parts'. What others gain does
not carry a category over its own loss: one that lost the margin among its own users does not pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

POWER = 0.8
"""Chance to see the smallest loss that counts as visible."""
Decision = Literal["passes", "loses", "undecided", "too few users"]


class GateConfig(BaseModel):
    """When a new model may replace the one that is live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: float = Field(
        0.1, gt=0, lt=1, description="A category passes when a loss of this share of its NDCG@10 can be ruled out."
    )
    level: float = Field(
        0.05, gt=0, lt=0.5, description="Chance that a model that loses the margin passes in any category, ever."
    )
    least_users: int = Field(
        50, ge=2, description="A category with fewer users who can be asked keeps the model that it has."
    )
    trust: int = Field(
        100, ge=0, description="So many users of a category count as much as what the whole shop says of it."
    )


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one category.

    Attributes:
        category: its name.
        users: who were asked.
        champion: mean NDCG@10 of the live model.
        challenger: of the new one.
        change: challenger / champion - 1, of the category alone; NaN where the champion finds nothing.
        least: the lower end of the change at the level that the test used: a greater loss can be ruled out.
        visible: the smallest loss that so many users show: it would be told from none with a chance of ``POWER``.
        p: of the test, after the parent's share.
        level: that the test used.
        decision: ``passes``, or why not: a loss of the margin or more is what the data say (``loses``), the data
            cannot rule it out (``undecided``), or nobody knows (``too few users``).
    """

    category: str
    users: int
    champion: float
    challenger: float
    change: float
    least: float
    visible: float
    p: float
    level: float
    decision: Decision

    @property
    def passes(self) -> bool:
        """Whether the new model may serve the category."""
        return self.decision == "passes"


@dataclass(frozen=True)
class Paired:
    """NDCG@10 of the users of one category under both models, float64 (n,) each, row by row the same user."""

    champion: NDArray[np.float64]
    challenger: NDArray[np.float64]


def judge(
    categories: Mapping[str, Paired], config: GateConfig, looks: Mapping[str, int] | None = None
) -> list[Verdict]:
    """One verdict a category, in their order.

    Args:
        categories: name → what its users got; the shop as a whole is all of them together.
        config: margin and level.
        looks: category → how often its champion has been challenged, this time included; 1 where it is not named.
    """
    spent = {name: 6 / (np.pi * (looks or {}).get(name, 1)) ** 2 for name in categories}
    enough = {name: one for name, one in categories.items() if len(one.champion) >= config.least_users}
    tests = {name: _test(one, enough, config) for name, one in enough.items()}
    levels = _holm({name: test.p / spent[name] for name, test in tests.items()}, config.level)
    levels = {name: level * spent[name] for name, level in levels.items()}
    return [_verdict(name, one, tests.get(name), levels.get(name, 0.0), config) for name, one in categories.items()]


@dataclass(frozen=True)
class _Test:
    """Mean margin-shifted difference and its standard error, of the category alone and with its parent's share."""

    own: tuple[float, float]
    mean: float
    error: float
    freedom: float

    @property
    def p(self) -> float:
        if self.own[0] <= 0:
            return 1.0
        return float(stats.t.sf(self.mean / self.error, self.freedom)) if self.error > 0 else 0.0

    def reach(self, level: float, error: float) -> float:
        return float(stats.t.isf(level, self.freedom)) * error


def _test(own: Paired, shop: Mapping[str, Paired], config: GateConfig) -> _Test:
    n = len(own.champion)
    mean, error = alone = _moments(_shifted(own, config.margin))
    scale = max(float(own.champion.mean()), 1e-12)
    others = [one for one in shop.values() if one is not own and one.champion.any()]
    if others:  # on the relative scale: categories differ in how hard they are
        parts = [_shifted(one, config.margin) / float(one.champion.mean()) for one in others]
        parent = np.concatenate(parts)
        share = n / (n + config.trust)
        of_parent, its_error = _moments(parent)
        mean = share * mean + (1 - share) * of_parent * scale
        error = share * error + (1 - share) * its_error * scale
    return _Test(alone, mean, error, n - 1)


def _shifted(one: Paired, margin: float) -> NDArray[np.float64]:
    return np.asarray(one.challenger - (1 - margin) * one.champion, np.float64)


def _moments(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _holm(p: Mapping[str, float], level: float) -> dict[str, float]:
    """The level that each test was held against: the smallest p first, against level / m, and on while they pass."""
    held, left, open_ = {}, len(p), True
    for name in sorted(p, key=lambda one: p[one]):
        held[name] = level / left
        open_ = open_ and p[name] <= held[name]
        left -= 1 if open_ else 0
    return held


def _verdict(name: str, one: Paired, test: _Test | None, level: float, config: GateConfig) -> Verdict:
    n = len(one.champion)
    champion = float(one.champion.mean()) if n else 0.0
    challenger = float(one.challenger.mean()) if n else 0.0
    change = challenger / champion - 1 if champion > 0 else float("nan")
    if test is None:
        nothing = float("nan")
        return Verdict(name, n, champion, challenger, change, nothing, nothing, nothing, 0.0, "too few users")
    scale = champion if champion > 0 else float("nan")
    reach = test.reach(level, test.error)
    # The estimate of the test is shifted by the margin: without it, relative to the champion, it is a change again.
    least = (test.mean - reach) / scale - config.margin
    visible = (reach + float(stats.norm.ppf(POWER)) * test.error) / scale
    decision: Decision = "undecided"
    if test.p <= level:
        decision = "passes"
    elif test.own[0] + test.reach(level, test.own[1]) < 0:
        decision = "loses"
    return Verdict(name, n, champion, challenger, change, least, visible, test.p, level, decision)
