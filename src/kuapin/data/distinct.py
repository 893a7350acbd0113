"""Every item of a history once: how often it was met, and when last."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Distinct:
    """The distinct items of many users; user ``u`` has the slice ``indptr[u]:indptr[u + 1]``, by item row.

    Attributes:
        indptr: int64 (n_users + 1,).
        items: int32 (k,), ascending within a user.
        users: int64 (k,), user row of each.
        order: int64 (n,), places in the arrays of the histories by user, item and time.
        starts: int64 (k,), where each item's places begin in ``order``.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    users: NDArray[np.int64]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Interactions of the user with each item, int64 (k,)."""
        return np.diff(self.starts, append=len(self.order))

    @property
    def last(self) -> NDArray[np.int64]:
        """Place of the last of them in the arrays of the histories, int64 (k,)."""
        return self.order[np.append(self.starts[1:], len(self.order)) - 1] if len(self.starts) else self.order

    def find(self, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int64]:
        """Where user–item pairs are among the distinct items, int64 (n,); -1: the user never met the item.

        Args:
            indptr: int64 (n_users + 1,), user ``u`` having ``items[indptr[u]:indptr[u + 1]]``.
            items: int32 (n,), item rows.
        """
        found = np.full(len(items), -1, np.int64)
        ends, asked = self.indptr.tolist(), indptr.tolist()
        for user in range(len(asked) - 1):
            own, wanted = self.items[ends[user] : ends[user + 1]], items[asked[user] : asked[user + 1]]
            if len(own) and len(wanted):
                place = np.minimum(own.searchsorted(wanted), len(own) - 1)
                found[asked[user] : asked[user + 1]] = np.where(own[place] == wanted, place + ends[user], -1)
        return found


def grouped(indptr: NDArray[np.int64], items: NDArray[np.int32], n_items: int) -> Distinct:
    """Group histories by item; see ``Histories`` for the arrays."""
    n_users = len(indptr) - 1
    users = np.repeat(np.arange(n_users, dtype=np.int64), np.diff(indptr))
    place = np.arange(len(items), dtype=np.int64)
    width = max(len(items), 1)
    if n_users * n_items < 2**63 // width:
        # One number a row: sorting it is ten times as fast as sorting by three columns.
        pair, place = np.divmod(np.sort((users * n_items + items) * width + place), width)
        first = np.flatnonzero(np.diff(pair, prepend=-1))
    else:
        place = np.lexsort((place, items, users))
        first = np.flatnonzero(np.diff(users[place], prepend=-1) | np.diff(items[place], prepend=-1))
    of_first = place[first]
    owner = users[of_first]
    ends = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=n_users)))).astype(np.int64)
    return Distinct(ends, items[of_first], owner, place, first)
