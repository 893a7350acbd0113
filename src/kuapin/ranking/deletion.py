"""What a row of a list loses without some of its user's history: reasons are measured by it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.ranking.recommender import Ranked, Recommender

NEAR = 5


@dataclass(frozen=True)
class Losses:
    """What rows lose; both (n,).

    Attributes:
        drop: float64, by how much the ranker's score falls.
        places: bool, whether the row falls behind one of its neighbours, the ``NEAR`` rows before and behind it.
    """

    drop: NDArray[np.float64]
    places: NDArray[np.bool_]


def losses(
    recommender: Recommender,
    histories: Histories,
    ranked: Ranked,
    rows: NDArray[np.intp],
    evidence: Sequence[NDArray[np.int32]],
) -> Losses:
    """What rows of lists lose when items are taken out of the history.

    The candidates are not looked for again: neighbours and the first ``NEAR`` rows of a list stand for them. The
    user's best candidate, from which distances are counted, falls as far as the best of these.

    Args:
        recommender: that ranked.
        histories: of the users of the lists.
        ranked: the lists.
        rows: of the lists; a row may come several times.
        evidence: of every row the history items (item rows) taken out; a row without any loses nothing.
    """
    ends, n = ranked.found.indptr, len(ranked.found.items)
    user = np.repeat(np.arange(len(histories)), np.diff(ends))[rows]
    number: dict[tuple[int, bytes], int] = {}  # of what is left: rows of one user often lose the same
    keys = zip(user.tolist(), evidence, strict=True)
    which = np.array([number.setdefault((one, gone.tobytes()), len(number)) for one, gone in keys], np.int64)
    _, first = np.unique(which, return_index=True)
    left = without(histories.select(user[first]), [evidence[k] for k in first.tolist()])

    near = rows[:, None] + np.arange(-NEAR, NEAR + 1)
    looked_at = np.hstack([near, ends[user][:, None] + np.arange(NEAR)])
    inside = (looked_at >= ends[user][:, None]) & (looked_at < ends[user + 1][:, None])
    places = which[:, None] * n + np.where(inside, looked_at, rows[:, None])
    pairs, place = np.unique(places, return_inverse=True)
    place = place.reshape(places.shape)
    old = ranked.features[pairs % n]
    indptr = np.searchsorted(pairs, np.arange(len(number) + 1, dtype=np.int64) * n)
    new = recommender.signals.features(left, indptr, ranked.found.items[pairs % n])
    _move_gaps(new, old, indptr, recommender.ranker.signals)
    before, after = recommender.ranker.score(old), recommender.ranker.score(new)

    own, beside, there = place[:, NEAR], place[:, : near.shape[1]], inside[:, : near.shape[1]]
    ahead = [(there & (one[beside] > one[own][:, None])).sum(axis=1) for one in (before, after)]
    return Losses((before - after)[own], ahead[1] > ahead[0])


def _move_gaps(
    new: NDArray[np.float32], old: NDArray[np.float32], indptr: NDArray[np.int64], names: Sequence[str]
) -> None:
    """Count the distances of ``new`` from a best candidate that falls as far as the best of the rows looked at."""
    lengths = np.diff(indptr)
    for column, name in enumerate(names):
        if name.endswith("_gap") and (signal := name.removesuffix("_gap")) in names:
            own = names.index(signal)
            best = old[:, own] - old[:, column]
            fall = [np.maximum.reduceat(one[:, own], indptr[:-1]) if len(one) else one[:, own] for one in (old, new)]
            new[:, column] = new[:, own] - (best + np.repeat(fall[1] - fall[0], lengths))


def without(histories: Histories, items: Sequence[NDArray[np.int32]]) -> Histories:
    """Every history without some items of its own."""
    width = histories.n_items
    keys = [number * width + gone.astype(np.int64) for number, gone in enumerate(items)]
    struck = np.concatenate([np.empty(0, np.int64), *keys])
    return histories.keep(~np.isin(histories.users.astype(np.int64) * width + histories.items, struck))
