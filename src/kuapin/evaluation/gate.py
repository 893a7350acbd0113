"""The gate: which categories a new model may serve. A test of non-inferiority on paired users, one a category.

The null hypothesis is a loss of at least the margin: mean(challenger) ≤ (1 - margin) · mean(champion). It is tested on
the users' differences d = challenger - (1 - margin) · champion by a one-sided t test (Fieller's device for a ratio of
paired means; Hauschke et al. 1999). Over categories the levels are Holm's (1979), so that the chance to let any bad
one pass is the level; over repeated looks at one champion the k-th look spends level · 6 / (π² k²), which sums to the
level. A category with few users is drawn towards the whole shop: its mean difference towards that of all others, by
``trust`` users' worth; the standard error of the mixture is bounded by the sum of both parts'. It passes when both rule
the loss out, its own users and they and the shop together. So a shop that loses elsewhere holds a small category back,
and one that gains carries none over its own loss: the level is that of its own users' test, whatever others do. Few
users hide a rare loss (NDCG is 0 for most, and where nobody in the sample lost a hit the variance is small): every
category is tested with one more user, who had a hit and lost it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtri, stdtr, stdtrit

POWER = 0.8
"""Chance to see the smallest loss that counts as visible."""
CONFIDENCE = 0.95
"""Of the interval of a change."""
Decision = Literal["passes", "loses", "undecided", "too few users"]


class GateConfig(BaseModel):
    """When a new model may replace the one that is live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: float = Field(
        0.1, gt=0, lt=1, description="A category passes when a loss of this share of its NDCG@10 can be ruled out."
    )
    level: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="Chance that a model that loses the margin passes in any category, however often it is tried "
        "against one that is live.",
    )
    least_users: int = Field(
        50, ge=2, description="A category with fewer users who can be asked keeps the model that it has."
    )
    trust: int = Field(
        100,
        ge=0,
        description="So many users of a category count as much as what the whole shop says of it, which can hold it "
        "back and never carries it.",
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
        low: lower end of its 95 % interval, paired over users (delta method); NaN likewise, and with one user.
        high: the upper end.
        least: the lower end of the change at the level that the test used: a greater loss can be ruled out.
        visible: the smallest loss that so many users show: it would be told from none with a chance of ``POWER``.
        p: of the test: of the category's own users, or of them with the shop's share where that is greater.
        level: that the test used.
        decision: ``passes``, or why not: a loss of the margin or more is what the data say (``loses``), the data
            cannot rule it out (``undecided``), or nobody knows (``too few users``).
    """

    category: str
    users: int
    champion: float
    challenger: float
    change: float
    low: float
    high: float
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
    """NDCG@10 of the users of one category under both models, row by row the same user.

    Attributes:
        champion: float64 (n,).
        challenger: float64 (n,).
        users: int64 (n,), who they are; ``None``: all different people.
    """

    champion: NDArray[np.float64]
    challenger: NDArray[np.float64]
    users: NDArray[np.int64] | None = None


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
    """Mean margin-shifted difference and its standard error, of the category alone and drawn towards the shop."""

    own: tuple[float, float]
    drawn: tuple[float, float]
    freedom: float

    @property
    def p(self) -> float:
        return max(
            float(stdtr(self.freedom, -mean / error)) if error > 0 else float(mean <= 0)
            for mean, error in (self.own, self.drawn)
        )

    def least(self, level: float) -> float:
        return min(mean - self.reach(level, error) for mean, error in (self.own, self.drawn))

    def reach(self, level: float, error: float) -> float:
        return -float(stdtrit(self.freedom, level)) * error


def _test(own: Paired, shop: Mapping[str, Paired], config: GateConfig) -> _Test:
    n = len(own.champion)
    mean, error = alone = _moments(_shifted(own, config.margin))
    scale = max(float(own.champion.mean()), 1e-12)
    others = [one for one in shop.values() if one is not own and one.champion.any()]
    if others:  # on the relative scale: categories differ in how hard they are
        parent = np.concatenate([_shifted(one, config.margin) for one in others])
        usual = float(np.concatenate([one.champion for one in others]).mean())
        share = n / (n + config.trust)
        of_parent, its_error = (value / usual for value in _moments(parent))
        mean = share * mean + (1 - share) * of_parent * scale
        error = share * error + (1 - share) * its_error * scale
    return _Test(alone, (mean, error), n)


def _shifted(one: Paired, margin: float) -> NDArray[np.float64]:
    """The users' differences, and that of one more user who had a usual hit and lost it."""
    hits = one.champion[one.champion > 0]
    lost = -(1 - margin) * float(hits.mean()) if len(hits) else 0.0
    return np.append(one.challenger - (1 - margin) * one.champion, lost)


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
    nothing = float("nan")
    reach = nothing
    if champion > 0 and n > 1:
        error = _moments(one.challenger - (1 + change) * one.champion)[1] / champion
        reach = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * error
    told = name, n, champion, challenger, change, change - reach, change + reach
    if test is None:
        return Verdict(*told, nothing, nothing, nothing, 0.0, "too few users")
    scale, error = champion if champion > 0 else float("nan"), test.own[1]
    # The estimate of the test is shifted by the margin: without it, relative to the champion, it is a change again.
    least = test.least(level) / scale - config.margin
    visible = (test.reach(level, error) + float(ndtri(POWER)) * error) / scale
    decision: Decision = "undecided"
    if test.p <= level:
        decision = "passes"
    elif test.own[0] + test.reach(level, test.own[1]) < 0:
        decision = "loses"
    return Verdict(*told, least, visible, test.p, level, decision)
