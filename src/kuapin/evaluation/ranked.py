"""What evaluation sees of a recommender: ranked lists, and the answers that were hidden from it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.errors import InputError

PADDING = -1


@dataclass(frozen=True)
class Ranked:
    """The top-k lists of many users, best first.

    Attributes:
        items: int32 (n_users, k), item rows, distinct within a user; a shorter list ends in -1.

    Raises:
        InputError: the array has another shape, or items follow a -1.
    """

    items: NDArray[np.int32]

    def __post_init__(self) -> None:
        if self.items.ndim != 2:
            raise InputError(
                f"Ranked lists have the shape (users, k); {self.items.shape} came. Give one row of items to each user."
            )
        present = self.items >= 0
        if (present[:, 1:] > present[:, :-1]).any():
            row = int(np.argmax((present[:, 1:] > present[:, :-1]).any(axis=1)))
            raise InputError(f"A ranked list ends in -1; row {row} has items after a -1. Move them to the front.")

    def __len__(self) -> int:
        return len(self.items)

    @property
    def k(self) -> int:
        """The greatest length of a list."""
        return int(self.items.shape[1])

    @classmethod
    def from_flat(cls, indptr: NDArray[np.int64], items: NDArray[np.int32], k: int) -> Self:
        """Cut lists that lie one after the other at ``k``.

        Args:
            indptr: int64 (n_users + 1,); user ``u`` has ``items[indptr[u]:indptr[u + 1]]``, best first.
            items: int32 (n,), item rows.
            k: the width of the result.
        """
        table = np.full((len(indptr) - 1, k), PADDING, np.int32)
        lengths = np.diff(indptr)
        rank = np.arange(len(items)) - np.repeat(indptr[:-1], lengths)
        kept = rank < k
        table[np.repeat(np.arange(len(lengths)), lengths)[kept], rank[kept]] = items[kept]
        return cls(table)

    def take(self, users: NDArray[np.integer]) -> Self:
        """The lists of some rows, in the given order."""
        return type(self)(self.items[users])


@dataclass(frozen=True)
class Answers:
    """The hidden items of many users: user ``u`` has ``items[indptr[u]:indptr[u + 1]]``.

    Attributes:
        indptr: int64 (n_users + 1,).
        items: int32 (n,), item rows, ascending and distinct within a user (binary gains: how often does not count).
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of answers of every user, int64 (n_users,)."""
        return np.diff(self.indptr)

    @property
    def users(self) -> NDArray[np.int64]:
        """The user row of every answer, int64 (n,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    @classmethod
    def from_histories(cls, histories: Histories) -> Self:
        """The distinct items of every history."""
        keys = np.unique(histories.users.astype(np.int64) * histories.n_items + histories.items)
        users, items = np.divmod(keys, max(histories.n_items, 1))
        indptr = np.concatenate(([0], np.cumsum(np.bincount(users, minlength=len(histories)))))
        return cls(indptr.astype(np.int64), items.astype(np.int32))

    def where(self, mask: NDArray[np.bool_]) -> "tuple[NDArray[np.int64], Answers]":
        """The answers among some items, and whose they are.

        Args:
            mask: bool (n_items,), the items that count.

        Returns:
            The rows of the users with such an answer, ascending, and the answers of these users alone.
        """
        kept = mask[self.items]
        counts = np.bincount(self.users[kept], minlength=len(self))
        users = np.flatnonzero(counts)
        return users, Answers(np.concatenate(([0], np.cumsum(counts[users]))).astype(np.int64), self.items[kept])

    def take(self, users: NDArray[np.integer]) -> "Answers":
        """The answers of some rows, in the given order."""
        counts = self.counts[users]
        indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        offset = np.arange(indptr[-1]) - np.repeat(indptr[:-1], counts)
        return Answers(indptr, self.items[np.repeat(self.indptr[:-1][users], counts) + offset])


@dataclass(frozen=True)
class ItemFacts:
    """What the metrics beyond accuracy know about items.

    Attributes:
        category: int32 (n_items,), category codes.
        popularity: int64 (n_items,), number of users who met the item among the *visible* interactions.
        n_users: number of users with visible interactions.
        candidates: int32, the item rows that could be recommended (a launch: those of the category).
    """

    category: NDArray[np.int32]
    popularity: NDArray[np.int64]
    n_users: int
    candidates: NDArray[np.int32]

    @classmethod
    def from_visible(
        cls, visible: Histories, category: NDArray[np.int32], candidates: NDArray[np.int32] | None = None
    ) -> Self:
        """Count popularity over the visible interactions; ``candidates=None`` means the whole catalogue."""
        pairs = np.unique(visible.users.astype(np.int64) * visible.n_items + visible.items)
        popularity = np.bincount(pairs % max(visible.n_items, 1), minlength=visible.n_items).astype(np.int64)
        rows = np.arange(visible.n_items, dtype=np.int32) if candidates is None else candidates
        return cls(category, popularity, int((visible.lengths > 0).sum()), rows)


@dataclass(frozen=True)
class Judged:
    """Ranked lists with their hits marked: what every metric is computed from.

    Attributes:
        ranked: the lists.
        hits: bool (n_users, k), whether the item at a rank is an answer.
        relevant: int64 (n_users,), number of answers, each ≥ 1.
        facts: about the items.
    """

    ranked: Ranked
    hits: NDArray[np.bool_]
    relevant: NDArray[np.int64]
    facts: ItemFacts


def judge(ranked: Ranked, answers: Answers, facts: ItemFacts) -> Judged:
    """Mark the hits of every list.

    Raises:
        InputError: the tables have different numbers of users, a list holds an item twice or one that is unknown,
            or a user has no answer (such users are left out by the split, not scored 0).
    """
    if len(ranked) != len(answers):
        raise InputError(
            f"Ranked lists and answers are about the same users; {len(ranked)} and {len(answers)} came. "
            "Rank exactly the test users of the split."
        )
    relevant = answers.counts
    if len(relevant) and relevant.min() < 1:
        raise InputError(
            f"Every judged user has an answer; user {int(np.argmin(relevant))} has none. Leave such users out."
        )
    items, n_items = ranked.items, len(facts.popularity)
    ordered = np.sort(items, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        raise InputError("A ranked list holds an item twice; its items are distinct. Remove repeats before ranking.")
    if items.size and items.max() >= n_items:
        raise InputError(
            f"Item rows are below {n_items}; {int(items.max())} came. Rank the catalogue that the facts are about."
        )
    keys = answers.users * n_items + answers.items
    wanted = np.arange(len(ranked), dtype=np.int64)[:, None] * n_items + items
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    hits = (keys[place] == wanted) & (items >= 0) if len(keys) else np.zeros(items.shape, np.bool_)
    return Judged(ranked, hits, relevant, facts)
