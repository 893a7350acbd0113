"""What a source that reads histories back looks at: every item once, and of these the latest."""

import numpy as np

from kuapin.data.histories import Histories


def recent_items(histories: Histories, max_history: int | None) -> Histories:
    """Every item of a history at its last interaction only, and of these the ``max_history`` most recent."""
    last = np.sort(histories.distinct().last)
    ends = np.searchsorted(last, histories.indptr)
    if max_history is not None:
        from_end = np.repeat(ends[1:], np.diff(ends)) - np.arange(len(last))
        last = last[from_end <= max_history]
        ends = np.searchsorted(last, histories.indptr)
    return Histories(
        ends.astype(np.int64, copy=False),
        histories.items[last],
        histories.times[last],
        histories.events[last],
        histories.n_items,
        histories.timed,
    )
