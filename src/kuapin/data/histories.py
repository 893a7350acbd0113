"""Histories of many users as flat arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.data.distinct import Distinct, grouped

FEW = 64
"""Users whose matrix is kept, and who are not copied where all of them are wanted."""
SOME = 1_024
"""Users whose distinct items are kept."""


@dataclass(frozen=True)
class Histories:
    """What every user did, oldest first, users one after the other.

    The interactions of user row ``u`` are the slice ``indptr[u]:indptr[u + 1]`` of the other arrays.

    Attributes:
        indptr: int64 (n_users + 1,).
        items: int32 (n,), item rows.
        times: int64 (n,), unix seconds; where the log has no times, the order within the user.
        events: uint8 (n,), index into ``columns.EVENTS``.
        n_items: size of the catalogue that ``items`` points into.
        timed: whether ``times`` are real times, comparable between users.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    times: NDArray[np.int64]
    events: NDArray[np.uint8]
    n_items: int
    timed: bool

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Number of interactions of every user, int64 (n_users,), not to be written to."""
        lengths = np.diff(self.indptr)
        lengths.flags.writeable = False
        return lengths

    @property
    def users(self) -> NDArray[np.int32]:
        """User row of every interaction, int32 (n,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    def of(self, user: int) -> NDArray[np.int32]:
        """Item rows of one user, oldest first, repeats included."""
        return self.items[self.indptr[user] : self.indptr[user + 1]]

    def distinct(self) -> Distinct:
        """The distinct items of every user. Those of some users are found once: every source asks for them."""
        return self._distinct if len(self) <= SOME else grouped(self.indptr, self.items, self.n_items)

    @cached_property
    def _distinct(self) -> Distinct:
        return grouped(self.indptr, self.items, self.n_items)

    def matrix(self, *, binary: bool = True) -> sparse.csr_matrix:
        """User × item float32 CSR matrix: 1 where the user met the item, or how often if not ``binary``.

        That of a few users is made once and cannot be written to: every source asks for it.
        """
        if binary and len(self) <= FEW:
            return self._met
        return self._matrix(binary=binary)

    @cached_property
    def _met(self) -> sparse.csr_matrix:
        met = self._matrix(binary=True)
        met.data.flags.writeable = False
        return met

    def _matrix(self, *, binary: bool) -> sparse.csr_matrix:
        counts = sparse.csr_matrix(
            (np.ones(len(self.items), np.float32), self.items.copy(), self.indptr.copy()),
            shape=(len(self), self.n_items),
        )
        counts.sum_duplicates()  # in place, so that it must not work on this object's own arrays
        if binary:
            counts.data[:] = 1.0
        return counts

    def keep(self, mask: NDArray[np.bool_]) -> "Histories":
        """The same users with only the interactions where ``mask`` (n,) is true."""
        kept = np.zeros(len(mask) + 1, np.int64)
        np.cumsum(mask, out=kept[1:])
        return Histories(
            kept[self.indptr], self.items[mask], self.times[mask], self.events[mask], self.n_items, self.timed
        )

    def select(self, users: NDArray[np.integer]) -> "Histories":
        """The histories of some user rows, in the given order; they become rows 0 … len(users)-1."""
        if len(users) == len(self) <= FEW and np.array_equal(users, np.arange(len(self))):
            return self
        indptr, index = slices_of(self.indptr, users)
        return Histories(indptr, self.items[index], self.times[index], self.events[index], self.n_items, self.timed)


def slices_of(indptr: NDArray[np.int64], rows: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where some slices lie in flat arrays, one slice after the other.

    Args:
        indptr: (n + 1,), row ``r`` having the slice ``indptr[r]:indptr[r + 1]``.
        rows: the rows wanted, in any order.

    Returns:
        The ``indptr`` of the taken slices, int64 (len(rows) + 1,), and the places to take, int64 (its last,).
    """
    first = indptr[rows]
    lengths = indptr[np.asarray(rows) + 1] - first
    taken = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return taken, np.repeat(first - taken[:-1], lengths) + np.arange(taken[-1], dtype=np.int64)


def from_interactions(
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    times: NDArray[np.int64],
    events: NDArray[np.uint8],
    *,
    n_users: int,
    n_items: int,
    timed: bool,
) -> Histories:
    """Group interactions, given in any order, by user and sort each history by time.

    Ties keep the order in which the rows came. All arrays have shape (n,); rows of ``users`` and ``items`` that are
    negative (unknown ids) are left out.
    """
    known = (users >= 0) & (items >= 0)
    users, items, times, events = users[known], items[known], times[known], events[known]
    order = np.lexsort((times, users))  # lexsort is stable, so ties keep the order of the file
    indptr = np.concatenate(([0], np.cumsum(np.bincount(users, minlength=n_users)))).astype(np.int64)
    return Histories(
        indptr,
        items[order].astype(np.int32, copy=False),
        times[order],
        events[order],
        n_items,
        timed,
    )


def empty_histories(n_users: int, n_items: int, *, timed: bool) -> Histories:
    """Users who did nothing."""
    none = np.empty(0, np.int64)
    return Histories(
        np.zeros(n_users + 1, np.int64), none.astype(np.int32), none, none.astype(np.uint8), n_items, timed
    )
