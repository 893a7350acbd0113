"""What to expect of a category that opens, by what the replayed openings of others showed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from kuapin.ranking.lists import Lists
from kuapin.ranking.strategies import POPULARITY, READS, STRATEGIES, TRANSFER, Strategy

SMOOTHING = 0.1
"""One more user with this NDCG is added to both sides of a ratio, so that none is infinite or surer than it can be."""


@dataclass(frozen=True)
class Quality:
    """How well the lists of one strategy were in one replayed opening; float64 (n_users,) each.

    Attributes:
        ndcg: NDCG@10.
        hits: 1 where one of the first ten was right.
    """

    ndcg: NDArray[np.float64]
    hits: NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """All replayed openings at one shot level.

    Attributes:
        shot: share of the people who enter that has been seen there.
        people: int64 (launches,), how many that were.
        interactions: int64 (launches,), what they did there.
        quality: strategy → one entry a launch.
    """

    shot: float
    people: NDArray[np.int64]
    interactions: NDArray[np.int64]
    quality: Mapping[Strategy, tuple[Quality, ...]]

    def means(self, strategy: Strategy) -> NDArray[np.float64]:
        """Mean NDCG@10 in every launch, float64 (launches,)."""
        return np.array([one.ndcg.mean() for one in self.quality[strategy]])

    def hit_rate(self, strategy: Strategy) -> float:
        """Share of people with something right among ten, mean over launches."""
        return float(np.mean([one.hits.mean() for one in self.quality[strategy]]))

    @property
    def seen(self) -> tuple[int, int]:
        """How many people had been seen there and how much they had done, medians over launches."""
        return int(np.median(self.people)), int(np.median(self.interactions))

    @cached_property
    def best(self) -> Strategy:
        """The strategy of the greatest mean over launches; of equal ones the plainest."""
        return max(self.quality, key=lambda one: (self.means(one).mean(), -STRATEGIES.index(one)))


@dataclass(frozen=True)
class Range:
    """A ratio, and between what ends that of one more category is expected; NaN where nothing tells."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Stage:
    """From when on another list is better than the one of today.

    Attributes:
        shot: level at which it was seen.
        strategy: that is best there.
        people: median over launches of how many people had been seen in the category by then.
        interactions: likewise, what they had done there.
        gain: NDCG@10 there to that of today's choice on the present level, on the same people.
        sure: share of the launches in which it was better.
    """

    shot: float
    strategy: Strategy
    people: int
    interactions: int
    gain: Range
    sure: float


@dataclass(frozen=True)
class NegativeTransfer:
    """What other openings taught made lists worse than a strategy that is taught nothing.

    Attributes:
        against: that strategy.
        ratio: NDCG@10 of ``transfer`` to its.
        worse: share of the launches in which ``transfer`` was worse.
    """

    against: Strategy
    ratio: Range
    worse: float


@dataclass(frozen=True)
class Expectations:
    """What the replays showed, one level a shot; the asked people of a launch are the same at all of them.

    Attributes:
        levels: by shot level, ascending.
        groups: the items of every launch, ascending rows.
        entering: float64 (launches,), share of the people with a history who ever met something of the launch's items.
        lists: of the present level, numbered by ``launch``: what the ranker of the real opening learns from.
        scores: strategy → float64 (n_candidates,), of those lists, by rankers that have not seen the launch.
        strangers: what somebody without a history would have been shown: logarithm of its popularity, float64 (n,),
            and whether the asked people took it, bool (n,); of all launches, at the present level.
        confidence: of the intervals.
    """

    levels: tuple[Level, ...]
    groups: tuple[NDArray[np.int32], ...]
    entering: NDArray[np.float64]
    lists: Lists
    scores: Mapping[Strategy, NDArray[np.float64]]
    strangers: tuple[NDArray[np.float64], NDArray[np.bool_]]
    confidence: float

    def at(self, shot: float) -> Level:
        """The highest level that is not above a shot."""
        return [level for level in self.levels if level.shot <= shot][-1]

    def ratio(self, strategy: Strategy, shot: float) -> Range:
        """NDCG@10 to that of popularity, for one more category."""
        level = self.at(shot)
        return self._ratio(level.quality[strategy], level.quality[POPULARITY])

    def matched(self, strategy: Strategy, shot: float) -> Level | None:
        """The highest level at which popularity is no better than this list is at ``shot``; ``None``: at none."""
        ours = self.at(shot).means(strategy).mean()
        passed = [level for level in self.levels if level.shot > 0 and level.means(POPULARITY).mean() <= ours]
        return passed[-1] if passed else None

    def above_popularity(self, strategy: Strategy, shot: float) -> bool:
        """Whether this list at ``shot`` is better than popularity is at any level with people in it."""
        ours, later = self.at(shot).means(strategy).mean(), [level for level in self.levels if level.shot > 0]
        return bool(later) and all(level.means(POPULARITY).mean() < ours for level in later)

    def next_stage(self, strategy: Strategy, shot: float) -> Stage | None:
        """The first later level whose best list clearly beats today's; else the first that did in most launches.

        Clearly: the range of the gain lies above 1. ``None``: none did in more launches than not.
        """
        today, found = self.at(shot), []
        for level in self.levels:
            better = level.means(level.best) > today.means(strategy)
            if level.shot > shot and level.people.min() > 0 and better.mean() > 1 / 2:
                gain = self._ratio(level.quality[level.best], today.quality[strategy])
                found.append(Stage(level.shot, level.best, *level.seen, gain, float(better.mean())))
        return next((stage for stage in found if stage.gain.low > 1), next(iter(found), None))

    def negative_transfer(self, shot: float) -> tuple[NegativeTransfer, ...]:
        """The strategies of few signals whose mean over launches is above that of ``transfer``."""
        level = self.at(shot)
        if TRANSFER not in level.quality:
            return ()
        ours, found = level.means(TRANSFER), []
        for name in (one for one in READS if one in level.quality):
            theirs = level.means(name)
            if ours.mean() < theirs.mean():
                ratio = self._ratio(level.quality[TRANSFER], level.quality[name])
                found.append(NegativeTransfer(name, ratio, float((ours < theirs).mean())))
        return tuple(found)

    def by_launch(self, strategy: Strategy, shot: float) -> NDArray[np.float64]:
        """The ratio to popularity in every launch, float64 (launches,)."""
        level = self.at(shot)
        return np.exp(_log_ratios(level.quality[strategy], level.quality[POPULARITY])[0])

    def _ratio(self, ours: tuple[Quality, ...], theirs: tuple[Quality, ...]) -> Range:
        return one_more(*_log_ratios(ours, theirs), self.confidence)


def _log_ratios(
    ours: tuple[Quality, ...], theirs: tuple[Quality, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithm of the ratio of mean NDCG in every launch and its variance (delta method), float64 (launches,) each."""
    logs, variances = [], []
    for one, other in zip(ours, theirs, strict=True):
        a, b = (np.append(quality.ndcg, SMOOTHING) for quality in (one, other))
        logs.append(np.log(a.mean() / b.mean()))
        variances.append(max(float((a / a.mean() - b / b.mean()).var()) / len(a), 1e-12))
    return np.array(logs), np.array(variances)


def one_more(logs: NDArray[np.float64], variances: NDArray[np.float64], confidence: float = 0.95) -> Range:
    """Between what ends the true ratio of one more launch lies, by those of a few.

    The random-effects model of DerSimonian and Laird (1986): launches differ by more than the people who were asked in
    them explain; its prediction interval is that of Higgins, Thompson and Spiegelhalter (2009), with n - 2 degrees of
    freedom (at least one).

    Args:
        logs: float64 (n,), logarithms of the ratios.
        variances: float64 (n,), > 0, of each for its people alone.
        confidence: of the interval.
    """
    n = len(logs)
    weight = 1 / variances
    excess = float(weight @ (logs - np.average(logs, weights=weight)) ** 2) - (n - 1)
    spread = float(weight.sum() - (weight**2).sum() / weight.sum())
    between = max(0.0, excess / spread) if n > 1 else 0.0
    weight = 1 / (variances + between)
    centre = float(np.average(logs, weights=weight))
    if n < 2:
        return Range(float(np.exp(centre)), float("nan"), float("nan"))
    reach = float(stdtrit(max(n - 2, 1), (1 + confidence) / 2)) * float(np.sqrt(between + 1 / weight.sum()))
    return Range(float(np.exp(centre)), float(np.exp(centre - reach)), float(np.exp(centre + reach)))
