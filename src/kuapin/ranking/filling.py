"""Full lists: what comes behind the proposed candidates of users who could not be shown enough of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.ranking.diversity import occurrence, room
from kuapin.retrieval.source import Candidates

LAST = 2
"""Number of the part of a list that is in the order of the fallback."""
Proposed = tuple[NDArray[np.int64], NDArray[np.int32]]
"""Candidates of some users: indptr (n_users + 1,) and item rows."""


@dataclass(frozen=True)
class Parts:
    """Candidates in parts, each with features of its own; a part comes behind those of a lower number.

    Attributes:
        users: int64 (n_parts,), user of every part.
        number: int64 (n_parts,), its number.
        indptr: int64 (n_parts + 1,).
        items: int32 (n,), item rows.
    """

    users: NDArray[np.int64]
    number: NDArray[np.int64]
    indptr: NDArray[np.int64]
    items: NDArray[np.int32]


@dataclass(frozen=True)
class Filling:
    """How lists are filled up.

    Attributes:
        n: length of the lists.
        order: gives the rows of the items that may be shown, int32, in the order of the fallback.
        category: int32 (n_items,), code of the top-level category.
        per_category: items of one top-level category at most; ``None``: no cap.
        each: how many items a source proposes.
        alike: what reads like each of some histories, ``each`` items at most; ``None``: nothing can tell.
    """

    n: int
    order: Callable[[], NDArray[np.int32]]
    category: NDArray[np.int32]
    per_category: int | None
    each: int
    alike: Callable[[Histories], Candidates] | None

    def parts(self, histories: Histories, proposed: Proposed) -> Parts:
        """What is proposed, and for users who are short of it more.

        Short is who could not be shown ``n`` under the cap. Behind everything proposed come what reads like the history
        and the first of the fallback, as many of each as a source proposes, in the ranker's order; then (``LAST``) the
        fallback in its own. So a category from which nothing is proposed is served, and no list depends on how much
        longer it might have been.
        """
        indptr, rows = proposed
        short = np.flatnonzero(room(indptr, self.category[rows], self.per_category) < self.n)
        if len(short) == 0:
            return Parts(np.arange(len(histories)), np.zeros(len(histories), np.int64), indptr, rows)
        more = self._more(histories.select(short), [rows[slice(*indptr[u : u + 2])] for u in short])
        lists = [rows, *more[0], *more[1]]
        users = np.concatenate((np.arange(len(histories)), short, short))
        number = np.repeat([0, 1, LAST], (len(histories), len(short), len(short)))
        lengths = np.concatenate((np.diff(indptr), [len(one) for one in lists[1:]]))
        ends = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        return Parts(users, number, ends, np.concatenate(lists))

    def _more(
        self, histories: Histories, proposed: list[NDArray[np.int32]]
    ) -> tuple[list[NDArray[np.int32]], list[NDArray[np.int32]]]:
        """The second and the last part of every user."""
        order, n = self.order(), self.n
        # By themselves these fill a list under the cap, if any items do; with other candidates beside them, too.
        capped = np.zeros(len(order), np.bool_)
        if self.per_category is not None:
            capped[np.flatnonzero(occurrence(self.category[order]) < self.per_category)[:n]] = True
        near = (np.arange(len(order)) < 2 * n) | capped
        last, capped = order[near], capped[near]
        alike = self.alike(histories) if self.alike else None
        second, third = [], []
        for user, found in enumerate(proposed):
            read = order[:0] if alike is None else alike.items[alike.indptr[user] : alike.indptr[user + 1]]
            second.append(np.setdiff1d(np.concatenate((read, order[: self.each])), found).astype(np.int32))
            new = ~np.isin(last, np.concatenate((found, second[-1])))
            third.append(last[new & (capped | (np.cumsum(new) <= n - len(found) - len(second[-1])))])
        return second, third
