"""What a row of a list loses without some of its user's history: reasons are measured by it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.ranking.recommender import Ranked, Recommender

NEAR = 5


def drops(
    recommender: Recommender,
    histories: Histories,
    ranked: Ranked,
    rows: NDArray[np.intp],
    evidence: Sequence[NDArray[np.int32]],
) -> NDArray[np.float64]:
    """How far the ranker's score of a row falls when items are taken out of the history, float64 (len(rows),).

    The other candidates stay what they were: the distance from the user's best candidate is counted from the old best.

    Args:
        recommender: that ranked.
        histories: of the users of the lists.
        ranked: the lists.
        rows: of the lists; a row may come several times.
        evidence: of every row the history items (item rows) taken out; the score of a row without any stays.
    """
    users = np.repeat(np.arange(len(histories)), np.diff(ranked.found.indptr))[rows]
    left = without(histories.select(users), evidence)
    indptr, items = np.arange(len(rows) + 1, dtype=np.int64), ranked.found.items[rows]
    new, old = recommender.signals.features(left, indptr, items), ranked.features[rows]
    names = recommender.ranker.signals
    for column, name in enumerate(names):
        if name.endswith("_gap") and (signal := name.removesuffix("_gap")) in names:
            own = names.index(signal)
            new[:, column] = new[:, own] - (old[:, own] - old[:, column])
    score = recommender.ranker.score
    return np.asarray(score(old) - score(new), np.float64)


def places_lost(
    recommender: Recommender,
    histories: Histories,
    ranked: Ranked,
    rows: NDArray[np.intp],
    evidence: Sequence[NDArray[np.int32]],
) -> NDArray[np.bool_]:
    """Whether rows fall behind their neighbours in the list when items are taken out of the history, bool (len(rows),).

    Neighbours are the ``NEAR`` rows before and behind a row; the arguments are those of :func:`drops`.
    """
    user = np.repeat(np.arange(len(histories)), np.diff(ranked.found.indptr))
    near = rows[:, None] + np.arange(-NEAR, NEAR + 1)
    inside = (near >= ranked.found.indptr[user[rows]][:, None]) & (near < ranked.found.indptr[user[rows] + 1][:, None])
    which, place = np.nonzero(inside)
    drop = np.zeros(near.shape)
    drop[which, place] = drops(
        recommender, histories, ranked, near[which, place], [evidence[k] for k in which.tolist()]
    )
    old = np.full(near.shape, -np.inf)
    old[which, place] = recommender.ranker.score(ranked.features[near[which, place]])
    new = np.where(inside, old - drop, -np.inf)
    before, after = ((one > one[:, [NEAR]]).sum(axis=1) for one in (old, new))
    return np.asarray(after > before, np.bool_)


def without(histories: Histories, items: Sequence[NDArray[np.int32]]) -> Histories:
    """Every history without some items of its own."""
    width = histories.n_items
    keys = [number * width + gone.astype(np.int64) for number, gone in enumerate(items)]
    struck = np.concatenate([np.empty(0, np.int64), *keys])
    return histories.keep(~np.isin(histories.users.astype(np.int64) * width + histories.items, struck))
