"""What a row of a list loses without some of its user's history: reasons are measured by it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.ranking.recommender import Ranked, Recommender


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


def without(histories: Histories, items: Sequence[NDArray[np.int32]]) -> Histories:
    """Every history without some items of its own."""
    width = histories.n_items
    keys = [number * width + gone.astype(np.int64) for number, gone in enumerate(items)]
    struck = np.concatenate([np.empty(0, np.int64), *keys])
    return histories.keep(~np.isin(histories.users.astype(np.int64) * width + histories.items, struck))
