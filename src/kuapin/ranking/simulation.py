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
from kuapin.ranking.replays import Replay, ReplayConfig, other_openings, without_dead
from kuapin.ranking.signals import Signals, SignalsConfig, opening_config
from kuapin.ranking.strategies import Strategy, possible_strategies, ranker_of
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.settings import SourcesConfig

LEAST_CATEGORIES = 3
"""With so many other categories these are replayed, else clusters of their leaves."""
RIDGE_USERS = 2_000
"""Users that the ridge learns from in a replay: its time grows with their cube."""


class SimulationConfig(BaseModel):
    """How many openings are replayed before one is real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    launches: int = Field(5, ge=2, description="Openings of other categories that are replayed at every shot level.")
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

    What is measured on a launch has not seen it: signals are fitted on what the replay shows, ``transfer`` learns from
    the other launches. At the present level it is what would go live; at the levels to come its sum alone, without the
    trees, which can only add to it and take most of the time.

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
    shots = sorted({*config.shots, present})
    levels: list[Level] = []
    strangers: list[tuple[NDArray[np.float64], NDArray[np.bool_]]] = []
    with progress.step("Replaying openings of other categories", launches * len(shots), "openings") as step:
        for shot in shots:
            openings = other_openings(visible, items, shot, replays)
            if not openings:
                return None
            like, parts = fitted if shot == present else None, []
            chosen = like.config if like else opening_config(openings[0].visible, signals, counted=shot > 0)
            for number, replay in enumerate(openings):
                fit = Signals.fit(replay.visible, chosen, like=like, settings=_short(fitted.settings))
                parts.append(make_lists(fit, replay.queries, replay.items, replay.answers, number, whose=replay.users))
                if shot == present:
                    strangers.append(_strangers(fit, replay))
                like = like or fit
                step.advance()
            lists = join(parts)
            if shot == present:
                lists = without_dead(lists, fitted, visible, items, replays)
            scores = _scores(lists, fit, ranking, full=shot == present)
            levels.append(_level(shot, openings, lists, scores))
            if shot == present:
                kept = lists, scores
    groups = tuple(replay.items for replay in openings)
    shown, took = (np.concatenate(part) for part in zip(*strangers, strict=True))
    return Expectations(tuple(levels), groups, _entering(visible, groups), *kept, (shown, took), config.confidence)


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
    lists: Lists, signals: Signals, ranking: RankingConfig, *, full: bool
) -> dict[Strategy, NDArray[np.float64]]:
    """Scores of every candidate by every strategy, as it is without the candidate's launch."""
    fold = lists.launch if len(np.unique(lists.launch)) > 1 else np.arange(len(lists)) % 2
    names, n_signals = signals.names, len(signals.signals)
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


def _level(
    shot: float, openings: Sequence[Replay], lists: Lists, scores: Mapping[Strategy, NDArray[np.float64]]
) -> Level:
    quality: dict[Strategy, tuple[Quality, ...]] = {}
    for strategy, values in scores.items():
        ndcg, hits = ndcg_at_10(lists, values), hits_at_10(lists, values)
        of = [lists.launch == number for number in range(len(openings))]
        quality[strategy] = tuple(Quality(ndcg[one], hits[one]) for one in of)
    seen = [replay.visible.histories.keep(np.isin(replay.visible.histories.items, replay.items)) for replay in openings]
    people = np.array([np.count_nonzero(one.lengths) for one in seen])
    return Level(shot, people, np.array([len(one.items) for one in seen]), quality)


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
