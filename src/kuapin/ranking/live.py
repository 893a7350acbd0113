"""The recommender of the running shop: trained on its own last stretch, fitted on everything."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.data.histories import Histories
from kuapin.data.suspects import Suspects, SuspectsConfig, find_suspects
from kuapin.progress import SILENT, Progress
from kuapin.ranking.calibration import (
    Calibration,
    calibration_errors,
    cross_fitted,
    fit_calibration,
    no_calibration,
    platt,
)
from kuapin.ranking.discoveries import Asked
from kuapin.ranking.pruning import prune
from kuapin.ranking.ranker import LEAST_LISTS, Ranker, RankingConfig, fit_ranker, fixed_ranker
from kuapin.ranking.recommender import SHOWN, Recommender, log_popularity
from kuapin.ranking.replays import Replay
from kuapin.ranking.signals import Signals, SignalsConfig
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.settings import SourcesConfig

JUDGES = 600
"""Users on whom it is judged which sources pay; none of them is held out."""


class LiveConfig(BaseModel):
    """How the ranker of the running shop is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: int = Field(1500, ge=10, description="Users whose last interactions are hidden and asked for again.")
    hidden: float = Field(0.1, gt=0, lt=1, description="Share of a timed log that is hidden: its last stretch.")
    hidden_untimed: float = Field(
        0.2, gt=0, lt=1, description="Where there are no times: hidden share of every asked user's history, its end."
    )
    held_out: float = Field(
        0.2,
        gt=0,
        lt=0.9,
        description="Share of the asked users on whom the ranker is measured and calibrated; nothing else sees them.",
    )
    pruned: bool = Field(
        default=True, description="Leave out sources whose absence costs the ranker nothing: faster, a smaller release."
    )
    suspects: SuspectsConfig = SuspectsConfig()
    seed: int = Field(0, ge=0, description="Of all draws.")


@dataclass(frozen=True)
class Fitted:
    """A recommender and what was measured on the way.

    Attributes:
        recommender: its signals have seen everything, its ranker has not seen the held-out users' lists.
        metrics: dotted name → value, on held-out users; empty where there was too little to measure. Without the source
            `repeat` there is no figure of it.
        suspects: what of the log was taken for no person's doing, and taught nothing.
    """

    recommender: Recommender
    metrics: dict[str, float]
    suspects: Suspects


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

    The ranker learns to rank the last stretch of the log from what lies before it, every user's list once with all
    candidates and once with those alone that are new to him; then the signals are fitted again on everything.

    Args:
        visible: the whole log.
        signals: which sources.
        ranking: how the ranker is trained.
        live: what is hidden and how many users are asked.
        sources: how the sources are set; ``None``: the defaults.
        progress: told of the steps.
    """
    live = live or LiveConfig()
    visible, suspects = _trusted(visible, live, progress)
    replay = temporal_replay(visible, live)
    learning, held = _split(len(replay.queries), live)
    with progress.step("Fitting sources on the log before its last stretch"):
        before = Signals.fit(replay.visible, signals, settings=sources)
    if live.pruned:
        with progress.step("Choosing the sources that pay"):
            judges = learning[:JUDGES]
            signals = prune(before, replay.queries.select(judges), replay.answers.select(judges), live.seed)
            before = before.only(signals)
    with progress.step("Ranking the last stretch"):
        learning, held = np.sort(learning), np.sort(held)
        train = Asked.make(before, replay.queries.select(learning), replay.answers.select(learning))
        test = Asked.make(before, replay.queries.select(held), replay.answers.select(held))
    with progress.step("Training the ranker"):
        ranker = _fitted(train, before, ranking)
    calibration, metrics = _measured(ranker, before, test, visible)
    strangers = _strangers(Recommender(before, ranker), replay.answers, len(visible.catalogue.categories))
    with progress.step("Fitting sources on everything"):
        after = _learnt_since(before, Signals.fit(visible, signals, like=before))
    return Fitted(Recommender(after, ranker, calibration, strangers), metrics, suspects)


def go_on_live(
    visible: Visible,
    recommender: Recommender,
    metrics: Mapping[str, float],
    *,
    live: LiveConfig | None = None,
    progress: Progress = SILENT,
) -> Fitted:
    """The same recommender after more of the log: its ranker and scales stay, its sources learn what came.

    Sources that count are fitted anew; the user model goes on from where it was. Nothing is hidden and nothing
    measured: the figures are those of the training that the ranker comes from.

    Args:
        visible: the whole log; items in the order of the recommender's, more of them behind, in the same categories.
        recommender: of a shop that ran, fitted or out of a release.
        metrics: that were measured when its ranker was trained.
        live: what of the log is believed.
        progress: told of the steps.
    """
    visible, suspects = _trusted(visible, live or LiveConfig(), progress)
    before = recommender.signals
    with progress.step("Going on from the live release"):
        after = _learnt_since(before, Signals.fit(visible, before.config, like=before, anew=True))
    return Fitted(replace(recommender, signals=after), dict(metrics), suspects)


def _trusted(visible: Visible, live: LiveConfig, progress: Progress) -> tuple[Visible, Suspects]:
    suspects = find_suspects(visible.histories, live.suspects)
    return replace(visible, histories=visible.histories.keep(suspects.kept), progress=progress), suspects


def _learnt_since(before: Signals, after: Signals) -> Signals:
    """The trees split on counts: those of more of a log lie beyond all that they were trained on."""
    learnt = before.facts.learnt * float(before.facts.users.sum() / max(float(after.facts.users.sum()), 1.0))
    after.facts = replace(after.facts, learnt=learnt)
    return after


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
        asked = _drawn(np.unique(histories.users[after]), config.users, rng)
        before = histories.keep(~after)
        seen = replace(visible, histories=before, now=cut)
    else:
        from_end = np.repeat(histories.indptr[1:], histories.lengths) - np.arange(len(histories.items))
        hidden = np.ceil(histories.lengths * config.hidden_untimed).astype(np.int64)
        after = (from_end <= np.repeat(hidden, histories.lengths)) & np.repeat(histories.lengths > 1, histories.lengths)
        asked = _drawn(np.unique(histories.users[after]), config.users, rng)
        # At most half of the users are asked: what the others did is all that the sources learn from.
        asked = asked[: max(1, len(np.unique(histories.users)) // 2)]
        mask = np.zeros(len(histories), np.bool_)
        mask[asked] = True
        before = histories.keep(~after)
        seen = replace(visible, histories=histories.keep(~mask[histories.users]))
    asked = np.sort(asked)
    answers = histories.keep(after).select(asked)
    items = np.arange(histories.n_items, dtype=np.int32)
    return Replay(seen, before.select(asked), answers, items, asked.astype(np.int32))


def _drawn(users: NDArray[np.integer], n: int, rng: np.random.Generator) -> NDArray[np.integer]:
    return rng.permutation(users)[:n]


def _split(n: int, config: LiveConfig) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of the users to learn from, in the order of a draw, and of those held out of all learning."""
    order = np.random.default_rng([config.seed, 12]).permutation(n)
    n_held = int(n * config.held_out)
    return order[n_held:], order[:n_held]


def _fitted(train: Asked, signals: Signals, ranking: RankingConfig) -> Ranker:
    if len(train.lists.useful()) < LEAST_LISTS:
        return fixed_ranker(signals.names, len(signals.signals))
    return fit_ranker(train.to_learn_from(), signals.names, len(signals.signals), ranking)


def _measured(ranker: Ranker, signals: Signals, held: Asked, visible: Visible) -> tuple[Calibration, dict[str, float]]:
    """The scale, and figures of held-out users: of each half of them, by the scale of the other half."""
    categories, lists = visible.catalogue.categories, held.lists
    if len(lists.useful()) < LEAST_LISTS:
        return no_calibration(len(categories)), {}
    scores, category = ranker.score(lists.features), visible.catalogue.category[lists.items]
    logit = cross_fitted(held, scores, category, len(categories))
    metrics = {}
    methods = {"": logit}
    for name, column in (("popularity", "users"), ("repeat", "repeat")):
        if column in signals.names:
            methods[f".{name}"] = lists.features[:, signals.names.index(column)].astype(np.float64)
    for name, values in methods.items():
        metrics[f"ndcg@10{name}"], metrics[f"ndcg@10.new{name}"] = held.means(values)
    metrics.pop("ndcg@10.new.repeat", None)  # 0: what is repeated is not new
    errors = calibration_errors(lists, logit, category, categories)
    return (
        fit_calibration(held, scores, category, len(categories)),
        metrics | {"held_out_users": float(len(lists))} | errors,
    )


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
