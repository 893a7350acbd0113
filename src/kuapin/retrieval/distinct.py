"""Every item of a history once: how often it was met, and when last."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories


@dataclass(frozen=True)
class Distinct:
    """The distinct items of many users; user ``u`` has the slice ``indptr[u]:indptr[u + 1]``, by item row.

    Attributes:
        indptr: int64 (n_users + 1,).
        items: int32 (k,), ascending within a user.
        counts: int64 (k,), interactions of the user with the item.
        last: int64 (k,), place of the last of them in the arrays of the histories.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    counts: NDArray[np.int64]
    last: NDArray[np.int64]


def distinct_items(histories: Histories) -> Distinct:
    """Group every history by item."""
    users, items = histories.users.astype(np.int64), histories.items
    place = np.arange(len(items), dtype=np.int64)
    width = max(len(items), 1)
    if len(histories) * histories.n_items < 2**63 // width:
        # One number a row: sorting it is ten times as fast as sorting by three columns.
        pair, place = np.divmod(np.sort((users * histories.n_items + items) * width + place), width)
        first = np.flatnonzero(np.diff(pair, prepend=-1))
    else:
        place = np.lexsort((place, items, users))
        first = np.flatnonzero(np.diff(users[place], prepend=-1) | np.diff(items[place], prepend=-1))
    counts = np.diff(first, append=len(place))
    last = place[first + counts - 1]
    indptr = np.concatenate(([0], np.cumsum(np.bincount(users[last], minlength=len(histories))))).astype(np.int64)
    return Distinct(indptr, items[last], counts, last)


def recent_items(histories: Histories, max_history: int | None) -> Histories:
    """Every item of a history at its last interaction only, and of these the ``max_history`` most recent."""
    keep = np.zeros(len(histories.items), np.bool_)
    keep[distinct_items(histories).last] = True
    recent = histories.keep(keep)
    if max_history is None:
        return recent
    from_end = np.repeat(recent.indptr[1:], recent.lengths) - np.arange(len(recent.items))
    return recent.keep(from_end <= max_history)
