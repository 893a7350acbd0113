"""Launch simulation: the openings of other categories, replayed, each ranked by what the rest taught."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.progress import SILENT, Progress
from kuapin.ranking.expectations import Expectations, Level, Quality
from kuapin.ranking.linear import fit_linear, prior_weights
from kuapin.ranking.lists import Lists, hits_at_10, join, make_lists, ndcg_at_10
from kuapin.ranking.ranker import LEAST_LISTS, Ranker, RankingConfig, fixed_ranker
from kuapin.ranking.recommender import SHOWN, Recommender, log_popularity
from kuapin.ranking.replays import Replay, ReplayConfig, groups_of, opening_of, without_dead
from kuapin.ranking.signal_table import Signal, signal_names
from kuapin.ranking.signals import Signals, SignalsConfig, opening_config
from kuapin.ranking.strategies import Strategy, possible_strategies, ranker_of
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.settings import SourcesConfig

LEAST_CATEGORIES = 3
"""With so many other categories these are replayed, else clusters of their leaves."""
KEPT = ("adapted", "predicted_popularity")
"""Sources that take much time and learn from texts: those of a launch's lowest shot level serve the higher ones, where
they would have seen a little more."""
RIDGE_USERS = 2_000
"""Users that the ridge learns from in a replay: its time grows with their cube."""


class SimulationConfig(BaseModel):
    """How many openings are replayed before one is real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    launches: int = Field(6, ge=2, description="Openings of other categories that are replayed at every shot level.")
    users: int = Field(200, ge=10, description="Users asked in each.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Of the intervals, for one more category.")
    shots: tuple[float, ...] = Field(
        (0.0, 0.01, 0.1, 1.0), description="Shot levels that are replayed; the present one always is."
    )
    seed: int = Field(0, ge=0, description="Of all draws.")


def simulate(
    visible: Visible,
    items: NDArray[np.int32],
    fitted: Signals,
    *,
    present: float = 0.0,
    signals: SignalsConfig,
    ranking: RankingConfig,
    config: SimulationConfig | None = None,
    progress: Progress = SILENT,
) -> Expectations | None:
    """Replay the opening of other categories at every shot level, and measure every strategy on each.

    What is measured on a launch has not seen it: signals are fitted on what the replay shows, without the people who
    are asked, and ``transfer`` learns from the other launches. At the present level it is what would go live; at the
    levels to come its sum alone, without the trees, which can only add to it and take most of the time.

    Args:
        visible: all that may be seen, ``items`` marked as opening.
        items: int32, ascending rows of the category.
        fitted: signals of the real opening: the same are fitted in the replays of the present level.
        present: shot level of the category.
        signals: which sources, at the other levels.
        ranking: how ``transfer`` learns.
        config: how many launches and users.
        progress: told of every replay.

    Returns:
        ``None`` where nothing can be replayed: no part of the shop has ten people who were elsewhere too.
    """
    config = config or SimulationConfig()
    launches = _launches(visible, items, config.launches)
    replays = ReplayConfig(groups=launches, users=config.users, first_day_users=config.users, seed=config.seed)
    groups = groups_of(visible, items, replays)
    seen: dict[float, _Seen] = {shot: _Seen() for shot in sorted({*config.shots, present})}
    strangers = []
    with progress.step("Replaying openings of other categories", len(groups) * len(seen), "openings") as step:
        for number, group in enumerate(groups):
            kept = {name: fitted.signals[name] for name in fitted.signals if not fitted.signals[name].source.learns}
            for shot, level in seen.items():
                replay = opening_of(visible, group, number, shot, replays)
                step.advance()
                if replay is None:
                    continue
                spelt = opening_config(replay.visible, signals, counted=shot > 0)
                fit = _fit(replay.visible, fitted.config if shot == present else spelt, kept, fitted.settings)
                kept |= {name: fit.signals[name] for name in fit.signals if name in KEPT}
                level.add(replay, fit, number)
                if shot == present:
                    strangers.append(_strangers(fit, replay))
    if not strangers:
        return None
    lists = {shot: level.joined for shot, level in seen.items()}
    lists[present] = without_dead(lists[present], fitted, visible, items, replays)
    with progress.step("Measuring every strategy on openings that it has not seen"):
        scores = {
            shot: _scores(lists[shot], level.names, level.n_signals, ranking, full=shot == present)
            for shot, level in seen.items()
        }
    levels = tuple(level.measured(shot, lists[shot], scores[shot]) for shot, level in seen.items())
    shown, took = (np.concatenate(part) for part in zip(*strangers, strict=True))
    replayed = seen[present].groups
    entering = _entering(visible, replayed)
    return Expectations(levels, replayed, entering, lists[present], scores[present], (shown, took), config.confidence)


class _Seen:
    """The replayed openings of one shot level."""

    def __init__(self) -> None:
        self.lists: list[Lists] = []
        self.groups: tuple[NDArray[np.int32], ...] = ()
        self.people: list[int] = []
        self.interactions: list[int] = []
        self.names: tuple[str, ...] = ()
        self.n_signals = 0

    def add(self, replay: Replay, signals: Signals, number: int) -> None:
        """Ask the people of one opening."""
        self.lists.append(make_lists(signals, replay.queries, replay.items, replay.answers, number, whose=replay.users))
        self.groups = (*self.groups, replay.items)
        histories = replay.visible.histories
        there = histories.keep(np.isin(histories.items, replay.items))
        self.people.append(int(np.count_nonzero(there.lengths)))
        self.interactions.append(len(there.items))
        self.names, self.n_signals = signals.names, len(signals.signals)

    @property
    def joined(self) -> Lists:
        """All lists."""
        return join(self.lists)

    def measured(self, shot: float, lists: Lists, scores: Mapping[Strategy, NDArray[np.float64]]) -> Level:
        """Every strategy on every opening."""
        quality: dict[Strategy, tuple[Quality, ...]] = {}
        for strategy, values in scores.items():
            ndcg, hits = ndcg_at_10(lists, values), hits_at_10(lists, values)
            of = [lists.launch == number for number in np.unique(lists.launch)]
            quality[strategy] = tuple(Quality(ndcg[one], hits[one]) for one in of)
        return Level(shot, np.array(self.people), np.array(self.interactions), quality)


def _fit(visible: Visible, config: SignalsConfig, kept: Mapping[str, Signal], settings: SourcesConfig) -> Signals:
    """The signals that a configuration spells out, those in ``kept`` as they are."""
    wanted = [name for name in signal_names() if name in (config.sources or ())]
    missing = tuple(name for name in wanted if name not in kept)
    fresh = Signals.fit(visible, config.model_copy(update={"sources": missing}), settings=_short(settings))
    have = {**fresh.signals, **kept}
    return Signals({name: have[name] for name in wanted if name in have}, config, fresh.facts, fresh.settings)


def shot_level(visible: Visible, items: NDArray[np.int32]) -> float:
    """The share of the people who will enter a category that has been seen there.

    How many will enter is taken from the other top-level categories that were met: their mean.

    Args:
        visible: all that may be seen.
        items: int32, ascending rows of the category.
    """
    histories, category = visible.histories, visible.catalogue.category
    inside = np.isin(histories.items, items)
    here = np.count_nonzero(histories.keep(inside).lengths)
    elsewhere = histories.keep(~inside)
    pairs = np.unique(np.column_stack([elsewhere.users, category[elsewhere.items]]), axis=0)
    people = np.bincount(pairs[:, 1]) if len(pairs) else np.zeros(1)
    usual = people[people > 0].mean() if people.any() else 1.0
    return float(min(1.0, here / usual))


def _launches(visible: Visible, items: NDArray[np.int32], most: int) -> int:
    """How many openings to replay: one a category that was met, where there are enough of them."""
    catalogue = visible.catalogue
    met = np.setdiff1d(visible.histories.items, items)
    categories = len(np.unique(catalogue.category[met]))
    return min(categories, most) if categories >= LEAST_CATEGORIES else most


def _short(settings: SourcesConfig) -> SourcesConfig:
    users = min(settings.ridge.max_users, RIDGE_USERS)
    return settings.model_copy(update={"ridge": settings.ridge.model_copy(update={"max_users": users})})


def _scores(
    lists: Lists, names: tuple[str, ...], n_signals: int, ranking: RankingConfig, *, full: bool
) -> dict[Strategy, NDArray[np.float64]]:
    """Scores of every candidate by every strategy, as it is without the candidate's launch."""
    fold = lists.launch if len(np.unique(lists.launch)) > 1 else np.arange(len(lists)) % 2
    scores = {one: np.zeros(len(lists.items)) for one in possible_strategies(names)}
    for number in np.unique(fold):
        learnt, asked = lists.select(np.flatnonzero(fold != number)), (fold == number)[lists.users]
        for strategy in scores:
            alone = strategy == "transfer" and not full and len(learnt.useful()) >= LEAST_LISTS
            ranker = (
                _sum_of(learnt, names, n_signals) if alone else ranker_of(strategy, names, n_signals, learnt, ranking)
            )
            scores[strategy][asked] = ranker.score(lists.features[asked])
    return scores


def _sum_of(lists: Lists, names: tuple[str, ...], n_signals: int) -> Ranker:
    return Ranker(names, fit_linear(lists, prior_weights(names[:n_signals])), None, 0.0, (1.0, 1.0), {})


def _strangers(signals: Signals, replay: Replay) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The first items of the list of everybody without a history: log popularity, and who of the asked took them."""
    recommender = Recommender(signals, fixed_ranker(signals.names, len(signals.signals)))
    order = recommender.fallback
    shown = order[np.isin(order, replay.items)][:SHOWN]
    took = replay.answers.matrix()[:, shown].toarray() > 0
    return np.tile(log_popularity(recommender.popularity[shown]), len(took)), np.asarray(took.ravel(), np.bool_)


def _entering(visible: Visible, groups: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
    met = visible.histories.matrix()
    everybody = max(int(np.count_nonzero(np.diff(met.indptr))), 1)
    return np.array([np.count_nonzero(np.diff(met[:, group].indptr)) for group in groups]) / everybody
