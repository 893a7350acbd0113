"""Scores that are inner products of a user's factors, made from the history at hand, and an item's."""

from abc import abstractmethod
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.parallel import over_users
from kuapin.retrieval.selection import Best, gather, pairs_by_user
from kuapin.retrieval.source import Candidates, NewItems, Scores, Source

FIRST_BLOCK = 4_096
"""Items looked at first; then twice as many each time."""
LARGEST_BLOCK = 65_536
"""But no more than these: what is looked at lies in memory for all users of a block at once."""


class FactorSource(Source):
    """Score = x · y. Floor: 0, items with factors of 0 and users without a history; known items may score below it.

    Attributes:
        factors: float32 (n_items, k), y of every item.
    """

    factors: Scores

    def with_items(self, new: NewItems) -> Self:
        """New items have factors of 0."""
        other = copy(self)
        other.factors = new.padded(self.factors)
        return other

    @abstractmethod
    def users(self, histories: Histories) -> Scores:
        """Factors x of users from their histories, float32 (n_users, k)."""

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Inner products, float32 (n_users, n_items)."""
        factors = self.factors if items is None else self.factors[items]
        return self.users(histories) @ factors.T

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The items with the largest positive inner products.

        Items are looked at by falling length of their factors. Once a user's n-th best score exceeds the length of
        his factors times that of the next item's, no later item can be among his best: the result is exact.
        """
        users = self.users(histories)
        rows = np.arange(len(self.factors)) if items is None else np.asarray(items)
        norms = np.linalg.norm(self.factors[rows], axis=1)
        by_norm = np.argsort(-norms, kind="stable")
        by_norm = by_norm[norms[by_norm] > 0]
        factors, norms, rows = self.factors[rows[by_norm]], norms[by_norm], rows[by_norm].astype(np.int32)

        def run(first: int, stop: int) -> list[Best]:
            return _largest_products(users[first:stop], factors, norms, rows, n)

        return gather([best for part in over_users(run, len(histories)) for best in part])

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        users = self.users(histories)
        return pairs_by_user(lambda user, wanted: self.factors[wanted] @ users[user], indptr, items)


def _largest_products(users: Scores, factors: Scores, norms: Scores, rows: NDArray[np.int32], n: int) -> list[Best]:
    """The ``n`` largest positive products of every user with ``factors``, whose ``norms`` fall."""
    lengths = np.linalg.norm(users, axis=1) * 1.001  # the bound must hold in float32 too
    best: list[Best] = [(np.empty(0, np.int32), np.empty(0, np.float32))] * len(users)
    worst = np.zeros(len(users), np.float32)
    start, size = 0, FIRST_BLOCK
    while start < len(rows):
        active = np.flatnonzero(lengths * norms[start] > worst)
        if len(active) == 0:
            break
        products = users[active] @ factors[start : start + size].T
        for user, row in zip(active, products, strict=True):
            columns = best_columns(row, n, floor=worst[user])
            best[user] = _merged(best[user], (rows[start + columns], row[columns]), n)
            if len(best[user][1]) == n:
                # Just below, so that an equal score with a smaller item row still gets in.
                worst[user] = np.nextafter(best[user][1][-1], np.float32(0))
        start, size = start + size, min(2 * size, LARGEST_BLOCK)
    return best


def _merged(old: Best, new: Best, n: int) -> Best:
    items, scores = np.concatenate((old[0], new[0])), np.concatenate((old[1], new[1]))
    order = np.lexsort((items, -scores))[:n]
    return items[order], scores[order]
