"""The recommender of the running shop: trained on its own last stretch, fitted on everything."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.data.answers import is_answer
from kuapin.data.histories import Histories
from kuapin.progress import SILENT, Progress
from kuapin.ranking.calibration import Calibration, fit_calibration, no_calibration, platt
from kuapin.ranking.lists import Lists, make_lists, ndcg_at_10
from kuapin.ranking.pruning import prune
from kuapin.ranking.ranker import LEAST_LISTS, Ranker, RankingConfig, fit_ranker, fixed_ranker
from kuapin.ranking.recommender import Recommender, log_popularity
from kuapin.ranking.replays import Replay
from kuapin.ranking.signals import Signals, SignalsConfig
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.settings import SourcesConfig

JUDGES = 400
"""Users on whom it is judged which sources pay."""
SHOWN = 200
"""First items of the popularity list by which its scale is found."""


class LiveConfig(BaseModel):
    """How the ranker of the running shop is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: int = Field(1500, ge=10, description="Users whose last interactions are hidden and asked for again.")
    hidden: float = Field(0.1, gt=0, lt=1, description="Share of a timed log that is hidden: its last stretch.")
    hidden_untimed: float = Field(
        0.2, gt=0, lt=1, description="Where there are no times: hidden share of every asked user's history, its end."
    )
    held_out: float = Field(
        0.2, gt=0, lt=0.9, description="Share of the asked users on whom the ranker is measured and calibrated."
    )
    pruned: bool = Field(
        default=True, description="Leave out sources whose absence costs the ranker nothing: faster, a smaller release."
    )
    seed: int = Field(0, ge=0, description="Of all draws.")


@dataclass(frozen=True)
class Fitted:
    """A recommender and what was measured on the way.

    Attributes:
        recommender: its signals have seen everything, its ranker has not seen the held-out users' lists.
        metrics: dotted name → value, on held-out users; empty where there was too little to measure.
    """

    recommender: Recommender
    metrics: dict[str, float]


def fit_live(
    visible: Visible,
    *,
    signals: SignalsConfig,
    ranking: RankingConfig,
    live: LiveConfig | None = None,
    sources: SourcesConfig | None = None,
    progress: Progress = SILENT,
) -> Fitted:
    """A recommender for all categories at once.

    The ranker learns to rank the last stretch of the log from what lies before it; then the signals are fitted again
    on everything. Items that the user met before and new ones are candidates alike: the shop's log decides.

    Args:
        visible: the whole log.
        signals: which sources.
        ranking: how the ranker is trained.
        live: what is hidden and how many users are asked.
        sources: how the sources are set; ``None``: the defaults.
        progress: told of the steps.
    """
    live = live or LiveConfig()
    replay = temporal_replay(visible, live)
    with progress.step("Fitting sources on the log before its last stretch"):
        before = Signals.fit(replay.visible, signals, settings=sources)
    if live.pruned:
        with progress.step("Choosing the sources that pay"):
            judges = np.random.default_rng([live.seed, 13]).permutation(len(replay.queries))[:JUDGES]
            signals = prune(before, replay.queries.select(judges), replay.answers.select(judges), live.seed)
            before = before.only(signals)
    with progress.step("Ranking the last stretch"):
        lists = make_lists(before, replay.queries, None, replay.answers)
    train, held = _split(lists, live)
    with progress.step("Training the ranker"):
        ranker = _fitted(train, before, ranking)
    calibration, metrics = _measured(ranker, before, held, visible)
    strangers = _strangers(Recommender(before, ranker), replay.answers, len(visible.catalogue.categories))
    with progress.step("Fitting sources on everything"):
        after = Signals.fit(visible, signals, like=before)
    return Fitted(Recommender(after, ranker, calibration, strangers), metrics)


def temporal_replay(visible: Visible, config: LiveConfig) -> Replay:
    """Hide the last stretch of the log and ask for it.

    In a timed log everything from one point in time on is hidden, of all users, and ``now`` is that point. Without
    times the end of every asked user's history is hidden, and nothing of these users stays visible.
    """
    histories = visible.histories
    rng = np.random.default_rng([config.seed, 11])
    if histories.timed and len(histories.times):
        cut = int(np.quantile(histories.times, 1 - config.hidden, method="lower"))
        after = histories.times >= cut
        asked = _drawn(np.unique(histories.users[after & is_answer(histories)]), config.users, rng)
        before = histories.keep(~after)
        seen = replace(visible, histories=before, now=cut)
    else:
        from_end = np.repeat(histories.indptr[1:], histories.lengths) - np.arange(len(histories.items))
        hidden = np.ceil(histories.lengths * config.hidden_untimed).astype(np.int64)
        after = (from_end <= np.repeat(hidden, histories.lengths)) & np.repeat(histories.lengths > 1, histories.lengths)
        asked = _drawn(np.unique(histories.users[after & is_answer(histories)]), config.users, rng)
        # At most half of the users are asked: what the others did is all that the sources learn from.
        asked = asked[: max(1, len(np.unique(histories.users)) // 2)]
        mask = np.zeros(len(histories), np.bool_)
        mask[asked] = True
        before = histories.keep(~after)
        seen = replace(visible, histories=histories.keep(~mask[histories.users]))
    asked = np.sort(asked)
    answers = histories.keep(after & is_answer(histories)).select(asked)
    return Replay(seen, before.select(asked), answers, np.arange(histories.n_items, dtype=np.int32))


def _drawn(users: NDArray[np.integer], n: int, rng: np.random.Generator) -> NDArray[np.integer]:
    return rng.permutation(users)[:n]


def _split(lists: Lists, config: LiveConfig) -> tuple[Lists, Lists]:
    order = np.random.default_rng([config.seed, 12]).permutation(len(lists))
    n_held = int(len(lists) * config.held_out)
    return lists.select(np.sort(order[n_held:])), lists.select(np.sort(order[:n_held]))


def _fitted(train: Lists, signals: Signals, ranking: RankingConfig) -> Ranker:
    if len(train.useful()) < LEAST_LISTS:
        return fixed_ranker(signals.names, len(signals.signals))
    return fit_ranker(train, signals.names, len(signals.signals), ranking)


def _measured(ranker: Ranker, signals: Signals, held: Lists, visible: Visible) -> tuple[Calibration, dict[str, float]]:
    n_categories = len(visible.catalogue.categories)
    if len(held.useful()) < LEAST_LISTS:
        return no_calibration(n_categories), {}
    scores = ranker.score(held.features)
    category = visible.catalogue.category[held.items]
    calibration, figures = fit_calibration(held, scores, category, visible.catalogue.categories)
    metrics = {"ndcg@10": float(ndcg_at_10(held, calibration.logit(scores, category)).mean())}
    for name, column in (("popularity", "users"), ("repeat", "repeat")):
        values = held.features[:, signals.names.index(column)].astype(np.float64)
        metrics[f"ndcg@10.{name}"] = float(ndcg_at_10(held, values).mean())
    return calibration, metrics | {"held_out_users": float(len(held))} | figures


def _strangers(before: Recommender, answers: Histories, n_categories: int) -> Calibration:
    """The scale of popularity: how often the asked users took the items that a stranger would have been shown."""
    shown = before.fallback[:SHOWN]
    took = np.asarray(answers.matrix()[:, shown].toarray() > 0)
    scores = np.tile(log_popularity(before.popularity[shown]), len(answers))
    slope, intercept = platt(scores, took.ravel())
    return replace(no_calibration(n_categories), slope=slope, intercept=intercept)


def queries_of(histories: Histories, users: NDArray[np.integer]) -> Histories:
    """The histories of user rows, an empty one where the row is -1 (a user whom the shop does not know)."""
    known = np.asarray(users) >= 0
    lengths = np.zeros(len(users), np.int64)
    found = histories.select(np.asarray(users)[known])
    lengths[known] = found.lengths
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return replace(found, indptr=indptr)
