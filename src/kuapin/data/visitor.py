"""The history of somebody without an id, as he brings it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.histories import Histories
from kuapin.data.schema import EARLIEST, FUTURE_DAYS
from kuapin.errors import InputError


def viewed(rows: NDArray[np.int32], times: NDArray[np.int64], n_items: int, *, timed: bool) -> Histories:
    """The history of one person who viewed some items.

    Args:
        rows: int32 (n,), of the items, oldest first; below 0: unknown, and passed over.
        times: int64 (n,), unix seconds.
        n_items: of the catalogue.
        timed: whether the shop's log has times.

    Raises:
        InputError: there is not one time for every item.
    """
    if len(times) != len(rows):
        raise InputError(f"A history of {len(rows)} items has as many times; {len(times)} came. Give all or none.")
    known = rows >= 0
    views = np.full(int(known.sum()), c.EVENTS.index("view"), np.uint8)
    return Histories(np.array([0, len(views)], np.int64), rows[known], times[known], views, n_items, timed)


def check_times(times: Sequence[int]) -> None:
    """Refuse what is no time of anything that was met.

    Raises:
        InputError: naming it.
    """
    latest = datetime.now(UTC) + timedelta(days=FUTURE_DAYS)
    wrong = [one for one in times if not EARLIEST.timestamp() <= one <= latest.timestamp()]
    if wrong:
        raise InputError(
            f"Times of a history lie between {EARLIEST:%Y-%m-%d} and {latest:%Y-%m-%d}, in unix seconds; {wrong[0]} "
            "does not. Correct it, or give no times."
        )
