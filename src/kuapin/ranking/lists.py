"""Candidate lists of many users with their features and, for training, which candidates were right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories, slices_of
from kuapin.ranking.proposals import Proposals, union
from kuapin.ranking.signals import Signals
from kuapin.retrieval.source import Scores


@dataclass(frozen=True)
class Lists:
    """User ``u`` has the candidates ``indptr[u]:indptr[u + 1]``.

    Attributes:
        indptr: int64 (n_users + 1,).
        items: int32 (n,), item rows.
        features: float32 (n, f).
        relevant: bool (n,), whether the hidden interactions hold the item; all false where nothing is known.
        answers: int64 (n_users,), how many items were hidden, candidates or not.
        weight: float64 (n_users,), how much a user counts in training.
        launch: int32 (n_users,), number of the replayed launch that a list is from; -1: of the very thing to be ranked.
            Lists of one number are never parted in cross-validation.
        whose: int32 (n_users,), number of the person whose list it is: several lists of one person say what one does.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    features: Scores
    relevant: NDArray[np.bool_]
    answers: NDArray[np.int64]
    weight: NDArray[np.float64]
    launch: NDArray[np.int32]
    whose: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Candidates of every user, int64 (n_users,)."""
        return np.diff(self.indptr)

    @property
    def users(self) -> NDArray[np.int64]:
        """List of every candidate, int64 (n,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def select(self, users: NDArray[np.integer]) -> Self:
        """The lists of some users, in the given order."""
        indptr, index = slices_of(self.indptr, users)
        return replace(
            self,
            indptr=indptr,
            items=self.items[index],
            features=self.features[index],
            relevant=self.relevant[index],
            answers=self.answers[users],
            weight=self.weight[users],
            launch=self.launch[users],
            whose=self.whose[users],
        )

    def keep(self, mask: NDArray[np.bool_]) -> Self:
        """The same users without the candidates where ``mask`` (n,) is false."""
        lengths = np.bincount(self.users[mask], minlength=len(self))
        return replace(
            self,
            indptr=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            items=self.items[mask],
            features=self.features[mask],
            relevant=self.relevant[mask],
        )

    def with_features(self, features: Scores) -> Self:
        """The same lists with other features, float32 (n, k)."""
        return replace(self, features=features)

    def with_weight(self, total: float) -> Self:
        """The same lists, their weights scaled to the sum ``total``."""
        return replace(self, weight=self.weight * (total / max(float(self.weight.sum()), 1e-12)))

    def useful(self) -> Self:
        """The lists from which something can be learnt: with a right and a wrong candidate."""
        right = np.bincount(self.users, weights=self.relevant, minlength=len(self))
        return self.select(np.flatnonzero((right > 0) & (right < self.lengths)))


def make_lists(
    signals: Signals,
    queries: Histories,
    items: NDArray[np.integer] | None,
    answers: Histories | None = None,
    launch: int = -1,
    proposed: Proposals | None = None,
    whose: NDArray[np.int32] | None = None,
) -> Lists:
    """Propose candidates for histories and read their features.

    Args:
        signals: fitted on what is visible.
        queries: the histories to recommend for.
        items: ascending rows that may be recommended; ``None``: all.
        answers: what was hidden, of the same users; ``None`` when recommending.
        launch: number of the replayed launch.
        proposed: what the sources propose, where that is known already.
        whose: as in ``Lists``; ``None``: every history is another person's.
    """
    people = np.arange(len(queries), dtype=np.int32) if whose is None else whose
    indptr, rows = union(proposed or signals.proposals(queries, items), len(queries), queries.n_items)
    features = signals.features(queries, indptr, rows)
    ones, launches = np.ones(len(queries)), np.full(len(queries), launch, np.int32)
    if answers is None:
        nothing = np.zeros(len(queries), np.int64)
        return Lists(indptr, rows, features, np.zeros(len(rows), np.bool_), nothing, ones, launches, people)
    wanted = answers.matrix()
    keys = np.repeat(np.arange(len(answers), dtype=np.int64), np.diff(wanted.indptr)) * answers.n_items + wanted.indices
    asked = np.repeat(np.arange(len(queries), dtype=np.int64), np.diff(indptr)) * answers.n_items + rows
    relevant = np.isin(asked, keys)
    return Lists(indptr, rows, features, relevant, np.diff(wanted.indptr).astype(np.int64), ones, launches, people)


def join(parts: Sequence[Lists]) -> Lists:
    """All lists one after the other."""
    offsets = np.cumsum([0, *(part.indptr[-1] for part in parts)])
    return Lists(
        np.concatenate([[0], *(part.indptr[1:] + offset for part, offset in zip(parts, offsets, strict=False))]).astype(
            np.int64
        ),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.relevant for part in parts]),
        np.concatenate([part.answers for part in parts]),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.launch for part in parts]),
        np.concatenate([part.whose for part in parts]),
    )


def ndcg_at_10(lists: Lists, scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """NDCG@10 of every list when ordered by ``scores`` (n,): float64 (n_users,). The ranker chooses its mixture by it.

    The ideal counts all answers, candidates or not (binary gains, cut at min(10, answers)).
    """
    total = _summed(lists, scores, lambda rank: 1 / np.log2(rank + 2.0))
    ideal = np.concatenate(([0.0], np.cumsum(1 / np.log2(np.arange(2, 12)))))
    return total / np.maximum(ideal[np.minimum(lists.answers, 10)], 1e-12)


def hits_at_10(lists: Lists, scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 for every list with a right candidate among the first ten by ``scores`` (n,), else 0: float64 (n_users,)."""
    return np.asarray(_summed(lists, scores, np.ones_like) > 0, np.float64)


def _summed(
    lists: Lists,
    scores: NDArray[np.floating],
    gain: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Sum of the gains, by rank from 0, of the right candidates among the first ten of every list."""
    order = np.lexsort((-scores, lists.users))
    rank = np.arange(len(order)) - np.repeat(lists.indptr[:-1], lists.lengths)
    right = (rank < 10) & lists.relevant[order]
    gains = np.where(right, gain(rank.astype(np.float64)), 0.0)
    return np.asarray(np.bincount(lists.users, weights=gains, minlength=len(lists)), np.float64)
