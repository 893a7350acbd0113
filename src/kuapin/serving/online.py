"""Histories up to this moment: what the release was loaded with, and what has come since."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.histories import Histories
from kuapin.data.vocabulary import Vocabulary

New = Sequence[tuple[str, int, str]]
"""Events of one person: item id, unix seconds and event."""
_CODE = {event: code for code, event in enumerate(c.EVENTS)}


def with_new(histories: Histories, new: Sequence[New], items: Vocabulary) -> Histories:
    """The histories with new events in their place in time; where the log has no times, at the end.

    Args:
        histories: of some users.
        new: of each of them, oldest first; items that the release does not know are passed over.
        items: item_id ↔ row.
    """
    if not any(new):
        return histories
    whole = [_merged(histories, user, own, items) for user, own in enumerate(new)]
    ends = np.concatenate(([0], np.cumsum([len(one[0]) for one in whole]))).astype(np.int64)
    rows, times, events = (np.concatenate([one[part] for one in whole]) for part in range(3))
    return Histories(
        ends,
        rows.astype(np.int32, copy=False),
        times.astype(np.int64, copy=False),
        events.astype(np.uint8, copy=False),
        histories.n_items,
        histories.timed,
    )


def _merged(histories: Histories, user: int, new: New, items: Vocabulary) -> tuple[NDArray[Any], ...]:
    own = slice(histories.indptr[user], histories.indptr[user + 1])
    before: tuple[NDArray[Any], ...] = (histories.items[own], histories.times[own], histories.events[own])
    if not new:
        return before
    rows = items.rows([item for item, _, _ in new])
    known = rows >= 0
    times = np.array([when for _, when, _ in new], np.int64)[known]
    codes = np.array([_CODE[event] for _, _, event in new], np.uint8)[known]
    later: tuple[NDArray[Any], ...] = (rows[known], times, codes)
    merged = tuple(np.concatenate(pair) for pair in zip(before, later, strict=True))
    if not histories.timed:
        return merged
    order = np.argsort(merged[1], kind="stable")
    return tuple(part[order] for part in merged)
