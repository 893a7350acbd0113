"""Candidates out of the scores of many users, however these are computed."""

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.parallel import over_users
from kuapin.retrieval.source import Candidates, Scores

Best = tuple[NDArray[np.integer], Scores]
"""Item rows of one user, best first, and their scores."""
FEW = 64
"""Users who have met at most so many items are asked about together."""


@lru_cache(maxsize=8)
def _rows_of(mask: bytes) -> NDArray[np.intp]:
    rows = np.flatnonzero(np.frombuffer(mask, np.bool_))
    rows.flags.writeable = False
    return rows


def rows_of(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The item rows where a mask is true, ascending, not to be written to; of like masks the same array.

    Where a shop hides a few items every list asks for all others: what rests on the array is then made once.
    """
    return _rows_of(mask.tobytes())


class _Last(threading.local):
    """The array that this thread asked about last, and what was answered."""

    items: NDArray[np.integer] | None = None
    mask: NDArray[np.bool_]


_LAST = _Last()


def allowed(items: NDArray[np.integer], n_items: int) -> NDArray[np.bool_]:
    """Which item rows are among ``items``, bool (n_items,), not to be written to; every source of a list asks this."""
    if _LAST.items is not items or len(_LAST.mask) != n_items:
        mask = np.zeros(n_items, np.bool_)
        mask[items] = True
        mask.flags.writeable = False
        _LAST.items, _LAST.mask = items, mask
    return _LAST.mask


def top_by_user(best: Callable[[int], Best], n_users: int) -> Candidates:
    """The candidates of every user, each found by ``best(user)``; users are shared out to threads."""
    runs = over_users(lambda first, stop: [best(user) for user in range(first, stop)], n_users)
    return gather([one for run in runs for one in run])


def top_by_number_met(
    top: Callable[[Histories, int], Candidates], histories: Histories, n: int, items: NDArray[np.integer] | None
) -> Candidates:
    """Lists of every user that are longer than ``n`` by at least what he has met of ``items``.

    Users who have met about as many items are asked about together, so that one long history, a bot's, makes no other
    list longer.

    Args:
        top: gives the best so many items of every history.
        histories: of the users.
        n: how many items that the user has not met are wanted.
        items: rows that may be named; ``None``: all.
    """
    matrix = histories.matrix()
    met = np.diff(matrix.indptr).astype(np.int64)
    if items is not None:
        counted = np.concatenate(([0], np.cumsum(allowed(items, histories.n_items)[matrix.indices])))
        met = np.diff(counted[matrix.indptr])
    if len(met) == 1:
        return top(histories, n + int(met[0]))
    group = np.ceil(np.log2(np.maximum(met, FEW)))
    groups = [np.flatnonzero(group == one) for one in np.unique(group)]
    lists = [top(histories.select(users), n + int(met[users].max())) for users in groups]
    return one_after_another(lists).take(np.argsort(np.concatenate(groups))) if groups else one_after_another([])


def without_met(found: Candidates, histories: Histories, n: int | None = None) -> Candidates:
    """The lists without the items that are in the user's own history; of each the first ``n`` (``None``: all)."""
    met, kept = np.zeros(histories.n_items, np.bool_), []
    for user in range(len(histories)):
        first, stop = found.indptr[user : user + 2]
        met[histories.of(user)] = True
        kept.append(first + np.flatnonzero(~met[found.items[first:stop]])[:n])
        met[histories.of(user)] = False
    index = np.concatenate([np.empty(0, np.int64), *kept])
    indptr = np.concatenate(([0], np.cumsum([len(one) for one in kept]))).astype(np.int64)
    return Candidates(indptr, found.items[index], found.scores[index])


def one_after_another(parts: Sequence[Candidates]) -> Candidates:
    """The lists of several groups of users as those of all: the second group's users after the first's."""
    lengths = [np.diff(part.indptr) for part in parts]
    return Candidates(
        np.concatenate([[0], *lengths]).cumsum().astype(np.int64),
        np.concatenate([np.empty(0, np.int32), *(part.items for part in parts)]),
        np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)]),
    )


def gather(best: list[Best]) -> Candidates:
    """One ``Candidates`` from the lists of single users."""
    indptr = np.concatenate(([0], np.cumsum([len(items) for items, _ in best]))).astype(np.int64)
    if not best:
        return Candidates(indptr, np.empty(0, np.int32), np.empty(0, np.float32))
    items = np.concatenate([items for items, _ in best]).astype(np.int32)
    return Candidates(indptr, items, np.concatenate([scores for _, scores in best]).astype(np.float32, copy=False))


def pairs_by_user(
    score: Callable[[int, NDArray[np.int32]], Scores], indptr: NDArray[np.int64], items: NDArray[np.int32]
) -> Scores:
    """Scores of given pairs, float32 (n,), from ``score(user, items)``; users are shared out to threads."""
    scores = np.empty(len(items), np.float32)

    def run(first: int, stop: int) -> None:
        for user in range(first, stop):
            part = slice(indptr[user], indptr[user + 1])
            scores[part] = score(user, items[part])

    over_users(run, len(indptr) - 1)
    return scores


def pairs_of_sparse(matrix: sparse.csr_matrix, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
    """Scores of given user–item pairs out of a user × item matrix, 0 where nothing is stored: float32 (n,)."""
    dense = np.zeros(matrix.shape[1], np.float32)
    scores = np.empty(len(items), np.float32)
    for user in range(matrix.shape[0]):
        part = slice(indptr[user], indptr[user + 1])
        stored = slice(matrix.indptr[user], matrix.indptr[user + 1])
        dense[matrix.indices[stored]] = matrix.data[stored]
        scores[part] = dense[items[part]]
        dense[matrix.indices[stored]] = 0.0
    return scores
