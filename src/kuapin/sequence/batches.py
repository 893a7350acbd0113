"""Histories as batches: what is read, and what is to be found behind it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories

GAPS = 24
"""Kinds of time gap: 0 is none or unknown, then doublings of a minute; the last takes all that is longer."""
MOST_ANSWERS = 10
"""Items of the category that opens that one history is asked for in one step."""
LENGTH_STEP = 4
"""Histories whose lengths fall into one step of so many are batched together, so that little is padded."""


@dataclass(frozen=True)
class Batch:
    """Some histories, padded on the right, with what is to be found.

    Attributes:
        items: int64 (B, L), item rows; 0 behind the end.
        events: int64 (B, L), index into ``columns.EVENTS``.
        gaps: int64 (B, L), kind of the time since the interaction before, < ``GAPS``.
        rows: int64 (m,), history of every answer.
        places: int64 (m,), its last interaction that may be read.
        answers: int64 (m,), item rows.
        opening: whether the answers are of a category that the histories do not hold.
    """

    items: NDArray[np.int64]
    events: NDArray[np.int64]
    gaps: NDArray[np.int64]
    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    answers: NDArray[np.int64]
    opening: bool = False


def gap_kinds(histories: Histories) -> NDArray[np.int64]:
    """Kind of the time since the same user's interaction before, int64 (n,): ⌊log2(minutes)⌋ + 1, 0 below a minute."""
    if not histories.timed or len(histories.items) == 0:
        return np.zeros(len(histories.items), np.int64)
    minutes = np.diff(histories.times, prepend=histories.times[0]) / 60.0
    minutes[histories.indptr[:-1][histories.lengths > 0]] = 0.0
    kinds = np.floor(np.log2(np.maximum(minutes, 0.5))).astype(np.int64) + 1
    return np.minimum(kinds, GAPS - 1)


def padded(histories: Histories, gaps: NDArray[np.int64], spans: NDArray[np.int64]) -> Batch:
    """The interactions ``spans[i, 0]:spans[i, 1]`` (flat places, int64 (B, 2)) of some histories; nothing is asked."""
    lengths = spans[:, 1] - spans[:, 0]
    longest = max(int(lengths.max(initial=0)), 1)
    inside = np.arange(longest) < lengths[:, None]
    place = np.where(inside, spans[:, :1] + np.arange(longest), 0)

    def taken(values: NDArray[np.integer]) -> NDArray[np.int64]:
        return np.where(inside, values[place] if len(values) else 0, 0).astype(np.int64)

    none = np.empty(0, np.int64)
    return Batch(taken(histories.items), taken(histories.events), taken(gaps), none, none, none)


def latest(histories: Histories, most: int) -> NDArray[np.int64]:
    """Where the latest ``most`` interactions of every user lie, int64 (n_users, 2)."""
    stop = histories.indptr[1:]
    return np.stack((np.maximum(histories.indptr[:-1], stop - most), stop), axis=1)


class Batches:
    """The batches of a pass over a log.

    In most of them every interaction is to be found from those before it. In a share of them a launch is replayed: a
    category that the user has been in is drawn, its interactions are taken out of what is read, and what was met in it
    is to be found from what is left.
    """

    def __init__(
        self,
        histories: Histories,
        openings: NDArray[np.int32],
        max_history: int,
        batch_size: int,
        masked_share: float,
    ) -> None:
        self.histories, self.openings = histories, openings
        self.max_history, self.batch_size, self.masked_share = max_history, batch_size, masked_share
        self.gaps = gap_kinds(histories)
        self.long_enough = np.flatnonzero(histories.lengths > 1)
        of_item = openings[histories.items]
        starts = histories.indptr[:-1][histories.lengths > 0]
        several = np.zeros(len(histories), np.bool_)
        if len(starts):
            several[histories.lengths > 0] = np.maximum.reduceat(of_item, starts) != np.minimum.reduceat(
                of_item, starts
            )
        self.several = np.flatnonzero(several)

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """All histories once, in a new order; of longer ones a stretch that ends somewhere."""
        for users, opening in self.plan(rng):
            yield self.batch(users, rng, opening=opening)

    def plan(self, rng: np.random.Generator) -> list[tuple[NDArray[np.int64], bool]]:
        """The users of every batch of a pass, and whether it replays an opening, in a random order."""
        batches = self._grouped(self.long_enough, rng)
        masked = self._grouped(self.several, rng)
        share = self.masked_share if masked else 0.0
        n_masked = min(round(len(batches) * share / (1 - share)) if share < 1 else len(masked), len(masked))
        plan = [(users, False) for users in (batches if share < 1 else [])]
        plan += [(users, True) for users in masked[:n_masked]]
        return [plan[place] for place in rng.permutation(len(plan))]

    def batch(self, users: NDArray[np.int64], rng: np.random.Generator, *, opening: bool) -> Batch:
        """A batch of some users."""
        return self._opening(users, rng) if opening else self._next_items(users, rng)

    def _grouped(self, users: NDArray[np.int64], rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Users of like lengths together, batches in any order."""
        order = rng.permutation(users)
        length = np.minimum(self.histories.lengths[order], self.max_history + 1) // LENGTH_STEP
        order = order[np.argsort(length, kind="stable")]
        groups = [order[first : first + self.batch_size] for first in range(0, len(order), self.batch_size)]
        return [groups[place] for place in rng.permutation(len(groups))]

    def _stretches(self, users: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Of every user max_history + 1 interactions that follow each other, or all, int64 (B, 2)."""
        first, stop = self.histories.indptr[users], self.histories.indptr[users + 1]
        spare = np.maximum(stop - first - (self.max_history + 1), 0)
        first = first + rng.integers(0, spare + 1)
        return np.stack((first, np.minimum(first + self.max_history + 1, stop)), axis=1)

    def _next_items(self, users: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        spans = self._stretches(users, rng)
        read = padded(self.histories, self.gaps, np.stack((spans[:, 0], spans[:, 1] - 1), axis=1))
        lengths = spans[:, 1] - spans[:, 0] - 1
        rows = np.repeat(np.arange(len(users), dtype=np.int64), lengths)
        places = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        answers = self.histories.items[spans[rows, 0] + places + 1].astype(np.int64)
        return Batch(read.items, read.events, read.gaps, rows, places, answers)

    def _opening(self, users: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        whole = self.histories.select(users)  # never the whole log: a pass would take the square of its length
        category = self.openings[whole.items]
        kept, answers = np.ones(len(whole.items), np.bool_), []
        for first, stop in zip(whole.indptr[:-1], whole.indptr[1:], strict=True):
            inside = category[first:stop] == category[first + rng.integers(stop - first)]
            kept[first:stop] = ~inside
            answers.append(rng.permutation(np.unique(whole.items[first:stop][inside]))[:MOST_ANSWERS])
        others = whole.keep(kept)
        # The gaps are those of what is left: a trace of what is hidden would not be there in a real opening.
        read = padded(others, gap_kinds(others), latest(others, self.max_history))
        lengths = np.minimum(others.lengths, self.max_history)
        rows = np.repeat(np.arange(len(users), dtype=np.int64), [len(one) for one in answers])
        wanted = np.concatenate(answers).astype(np.int64)
        return Batch(read.items, read.events, read.gaps, rows, lengths[rows] - 1, wanted, opening=True)
