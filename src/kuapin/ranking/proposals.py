"""Candidates: what each source proposes, items that the user met apart from those new to him."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.retrieval.selection import top_by_number_met, without_met
from kuapin.retrieval.source import Candidates, Source
from kuapin.retrieval.sources.repeat import OwnItems

Proposals = Mapping[str, Candidates]


def proposals(
    sources: Mapping[str, Source], histories: Histories, n: int, items: NDArray[np.integer] | None
) -> dict[str, Candidates]:
    """The best ``n`` items of every source: the user's own items of ``OwnItems``, new ones of all others.

    A source that scores what people meet together gives the user's own items the best scores; without this rule the
    lists of frequent buyers would hold little else, and nothing to discover.

    Args:
        sources: fitted, by name.
        histories: of the users.
        n: how many of each at most; items of score 0, or at the source's floor, may be left out.
        items: ascending rows that may be proposed; ``None``: all.
    """
    return {name: _best(source, histories, n, items) for name, source in sources.items()}


def _best(source: Source, histories: Histories, n: int, items: NDArray[np.integer] | None) -> Candidates:
    if isinstance(source, OwnItems):
        return source.top(histories, n, items)
    return top_by_number_met(
        lambda some, longer: without_met(source.top(some, longer, items), some, n), histories, n, items
    )


def everything(items: NDArray[np.int32], n_users: int) -> Candidates:
    """A few items for everybody, in their order and with a score of 0."""
    indptr = np.arange(n_users + 1, dtype=np.int64) * len(items)
    return Candidates(indptr, np.tile(items, n_users), np.zeros(indptr[-1], np.float32))


def union(proposed: Proposals, n_users: int, n_items: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """All that is proposed to every user: indptr int64 (n_users + 1,), item rows int32, ascending within a user."""
    keys = [_users(one) * n_items + one.items for one in proposed.values()]
    users, rows = np.divmod(np.unique(np.concatenate([np.empty(0, np.int64), *keys])), n_items)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(users, minlength=n_users)))).astype(np.int64)
    return indptr, rows.astype(np.int32)


def places(
    proposed: Proposals, indptr: NDArray[np.int64], items: NDArray[np.int32], n_items: int
) -> dict[str, NDArray[np.int64]]:
    """Place of every candidate of a union in the list of every source, int64 (n,); n where it is not in the list.

    Args:
        proposed: the lists.
        indptr: int64 (n_users + 1,), of the union.
        items: int32 (n,), of the union.
        n_items: size of the catalogue.
    """
    keys = np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr)) * n_items + items
    found = {}
    for name, one in proposed.items():
        place = np.full(len(items), len(items), np.int64)
        mine = np.arange(len(one.items)) - np.repeat(one.indptr[:-1], np.diff(one.indptr))
        place[np.searchsorted(keys, _users(one) * n_items + one.items)] = mine
        found[name] = place
    return found


def _users(found: Candidates) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(found.indptr) - 1, dtype=np.int64), np.diff(found.indptr))
