"""Training lists from replayed launches: hide what users did in a category, and learn to rank it from the rest.

Nothing that has seen the hidden part feeds a list: the signals behind the list of a user are fitted without any
interaction of that user, and without what the replay hides (permuting the hidden part leaves every input the same).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.cluster.vq import kmeans2

from kuapin.data.histories import Histories
from kuapin.progress import SILENT, Progress
from kuapin.ranking.lists import Lists, join, make_lists
from kuapin.ranking.signals import Signals, SignalsConfig
from kuapin.retrieval.source import Visible


class ReplayConfig(BaseModel):
    """How launches are replayed for training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: int = Field(4, ge=2, description="Groups of items whose opening is replayed.")
    users: int = Field(500, ge=10, description="Users asked per replay.")
    first_day_users: int = Field(
        1000, ge=10, description="The same on the first day, when nothing else can be learnt from."
    )
    folds: int = Field(3, ge=2, description="Folds of the category's own users.")
    own_users: int = Field(1800, ge=10, description="The category's own users asked in all.")
    trust: int = Field(100, ge=1, description="So many own users count as much as all replays of other groups.")
    enough: int = Field(
        1000, ge=1, description="With so many own users no other opening is replayed: it would hardly weigh."
    )
    seed: int = Field(0, ge=0, description="Of all draws.")


@dataclass(frozen=True)
class Replay:
    """One replayed launch.

    Attributes:
        visible: what the signals may be fitted on; the asked users' histories are not in it.
        queries: what the asked users did elsewhere.
        answers: what they did in the group.
        items: int32, ascending rows of the group.
        users: int32, rows of the asked users in the log.
    """

    visible: Visible
    queries: Histories
    answers: Histories
    items: NDArray[np.int32]
    users: NDArray[np.int32]


def launch_lists(
    visible: Visible,
    items: NDArray[np.int32],
    shot: float,
    signals: SignalsConfig,
    config: ReplayConfig,
    fitted: Signals,
    progress: Progress = SILENT,
    *,
    others: Lists | None = None,
) -> Lists:
    """Training lists for the launch of a category.

    Two kinds are joined: replayed openings of other groups of items at the same shot level, and the category's own
    first users, each ranked by signals fitted without them. The more own users there are, the more they weigh.

    Args:
        visible: all that may be seen, the category's shots included.
        items: int32, ascending rows of the category.
        shot: share of the users whose interactions in the category are visible.
        signals: which sources.
        config: how many replays.
        fitted: signals fitted on ``visible``, for the sources that do not learn.
        progress: told of every replay.
        others: lists of replayed openings of other groups, where they were made before; ``None``: they are made.
    """
    own = list(own_folds(visible, items, config))
    enough = sum(len(replay.queries) for replay in own) >= config.enough
    openings = [] if enough or others is not None else list(other_openings(visible, items, shot, config))
    parts: list[list[Lists]] = [[], []]
    with progress.step("Replaying launches", len(openings) + len(own), "launches") as step:
        for kind, replays in enumerate((openings, own)):
            for number, replay_ in enumerate(replays):
                fit = Signals.fit(replay_.visible, signals, like=fitted)
                launch = number if kind == 0 else -1
                parts[kind].append(
                    make_lists(fit, replay_.queries, replay_.items, replay_.answers, launch, whose=replay_.users)
                )
                step.advance()
    joined = [without_dead(join(part), fitted, visible, items, config) for part in parts if part]
    if others is not None and not enough:
        joined.insert(0, others)
    if not joined:
        nobody = visible.histories.select(np.empty(0, np.int64))
        return make_lists(fitted, nobody, items, nobody)
    if len(joined) == 2:
        n_own = len(joined[1].useful())
        joined[1] = joined[1].with_weight(joined[0].weight.sum() * n_own / config.trust)
    return join(joined)


def without_dead(
    lists: Lists, fitted: Signals, visible: Visible, items: NDArray[np.int32], config: ReplayConfig
) -> Lists:
    """The lists with the signals set to 0 that cannot tell the items of the real launch apart.

    On the first day nobody has met anything of the category: what is counted there is the same for all its items,
    while in a replayed opening a trace of it may be left. What it would teach there could not be used here.
    """
    rng = np.random.default_rng([config.seed, 4])
    met = np.flatnonzero(visible.histories.lengths > 0)
    asked = visible.histories.select(np.sort(rng.permutation(met)[:50]))
    indptr, rows = fitted.propose(asked.keep(~np.isin(asked.items, items)), items)
    features = fitted.features(asked, indptr, rows)
    if len(rows) == 0:
        return lists
    known = np.nan_to_num(features, nan=np.inf).min(axis=0), np.nan_to_num(features, nan=-np.inf).max(axis=0)
    dead = np.flatnonzero(known[0] >= known[1])
    kept = lists.features.copy()
    kept[:, dead] = 0.0
    return replace(lists, features=kept)


def own_folds(visible: Visible, items: NDArray[np.int32], config: ReplayConfig) -> Sequence[Replay]:
    """The category's first users in folds, each fold asked by what the others did."""
    histories = visible.histories
    inside = np.isin(histories.items, items)
    users = _askable(histories, inside)
    rng = np.random.default_rng([config.seed, 1])
    users = rng.permutation(users)
    folds = min(config.folds, len(users))
    each = -(-config.own_users // max(folds, 1))
    return [_ask(visible, users[k::folds], inside, items, each) for k in range(folds) if len(users) > 1]


def other_openings(visible: Visible, items: NDArray[np.int32], shot: float, config: ReplayConfig) -> Sequence[Replay]:
    """Openings of groups of the other items at the same shot level."""
    groups = groups_of(visible, items, config)
    replays = [opening_of(visible, group, number, shot, config) for number, group in enumerate(groups)]
    return [replay for replay in replays if replay is not None]


def opening_of(
    visible: Visible, group: NDArray[np.int32], number: int, shot: float, config: ReplayConfig
) -> Replay | None:
    """The opening of one group at a shot level; ``None`` with fewer than ten people to ask.

    The same are asked at all shot levels, as far as ``config`` asks as many, and who is seen at one is at the higher.

    Args:
        visible: all that may be seen.
        group: int32, ascending rows of its items.
        number: of the draws.
        shot: share of the others who entered that is seen in it; above 0 at least one.
        config: how many are asked.
    """
    histories = visible.histories
    inside = np.isin(histories.items, group)
    users = _askable(histories, inside)
    if len(users) < 10:
        return None
    rng = np.random.default_rng([config.seed, 2, number])
    most = config.users if shot > 0 else config.first_day_users
    asked = np.sort(rng.permutation(users)[: min(most, len(users) // 2)])
    met = np.setdiff1d(np.unique(histories.users[inside]), asked)
    shown = rng.permutation(met)[: max(1, round(shot * len(met)))] if shot > 0 else met[:0]
    keep = ~inside | _member(shown, len(histories))[histories.users]
    hidden = opened(replace(visible, histories=histories.keep(keep)), group)
    return _ask(hidden, asked, inside, group, len(asked), histories)


def opened(visible: Visible, items: NDArray[np.int32]) -> Visible:
    """The same with the items as a top-level category of their own, as they are on the day they open."""
    catalogue = visible.catalogue
    category = catalogue.category.copy()
    category[items] = len(catalogue.categories)
    return replace(
        visible,
        catalogue=replace(catalogue, category=category, categories=(*catalogue.categories, "(new)")),
        opening=items,
    )


def groups_of(visible: Visible, items: NDArray[np.int32], config: ReplayConfig) -> list[NDArray[np.int32]]:
    """Groups of the items outside ``items`` whose opening can be replayed, as ascending rows.

    Top-level categories where there are enough of them, else leaf categories put together by their texts (k-means of
    their mean vectors, so that a group ends where a shop would end it), else, with few leaves, clusters of texts;
    without texts leaves at random. The most met groups come first.
    """
    catalogue = visible.catalogue
    others = np.setdiff1d(np.arange(len(catalogue), dtype=np.int32), items)
    users = np.asarray(visible.histories.matrix().sum(axis=0), np.float64).ravel()
    label = catalogue.category[others].astype(np.int64)
    rng = np.random.default_rng([config.seed, 3])
    if len(np.unique(label)) < config.groups:
        label = _clusters(visible, others, config.groups, rng)
    sizes = {int(g): float(users[others[label == g]].sum()) for g in np.unique(label)}
    best = sorted(sizes, key=lambda g: (-sizes[g], g))[: config.groups]
    return [others[label == g] for g in best if sizes[g] > 0]


def _clusters(visible: Visible, others: NDArray[np.int32], groups: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A group number for each of ``others``, int64 (n,)."""
    leaves, leaf = np.unique(visible.catalogue.leaf[others], return_inverse=True)
    white = visible.whitened()
    if white is None or len(others) <= 10 * groups:
        return np.asarray((rng.permutation(len(leaves)) % groups)[leaf], np.int64)
    if len(leaves) >= 5 * groups:
        points = np.zeros((len(leaves), white.shape[1]), np.float32)
        np.add.at(points, leaf, white[others])
        points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
        return _nearest(points, kmeans2(points, groups, minit="++", iter=15, seed=rng)[0])[leaf]
    sample = white[others[rng.permutation(len(others))[:5000]]]
    return _nearest(white[others], kmeans2(sample, groups, minit="++", iter=15, seed=rng)[0])


def _nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.asarray(np.argmax(points @ centres.T - (centres**2).sum(axis=1) / 2, axis=1), np.int64)


def _ask(
    visible: Visible,
    users: NDArray[np.integer],
    inside: NDArray[np.bool_],
    items: NDArray[np.int32],
    at_most: int,
    histories: Histories | None = None,
) -> Replay:
    """Take ``users`` out of what is visible, and ask the first so many of them.

    ``inside`` marks the group's interactions in ``histories``, by default the visible ones.
    """
    everything = histories or visible.histories
    asked = np.sort(users[:at_most])
    without = visible.histories.keep(~_member(users, len(visible.histories))[visible.histories.users])
    return Replay(
        replace(visible, histories=without),
        everything.keep(~inside).select(asked),
        everything.keep(inside).select(asked),
        items,
        asked.astype(np.int32),
    )


def _askable(histories: Histories, inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Users with interactions both inside and outside."""
    n = len(histories)
    within = np.bincount(histories.users[inside], minlength=n) > 0
    return np.flatnonzero(within & (np.bincount(histories.users[~inside], minlength=n) > 0))


def _member(users: NDArray[np.integer], n_users: int) -> NDArray[np.bool_]:
    mask = np.zeros(n_users, np.bool_)
    mask[users] = True
    return mask
