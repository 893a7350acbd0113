"""The best n of one row of scores, found without sorting the row."""

import numpy as np
from numpy.typing import NDArray

BLOCKS_EACH = 4
"""Blocks per wanted item: with more, the threshold is closer to the n-th best score and finding it takes longer."""


def best_columns(scores: NDArray[np.float32], n: int, floor: float = -np.inf) -> NDArray[np.intp]:
    """Columns of the ``n`` largest scores above ``floor``, best first; ties go to the smaller column.

    Args:
        scores: float32 (k,).
        n: how many at most.
        floor: scores that are not larger are never taken.
    """
    blocks = BLOCKS_EACH * n
    height = len(scores) // max(blocks, 1)
    if height < 2:
        columns = np.flatnonzero(scores > floor)
    else:
        # The n-th largest of the blocks' maxima is at most the n-th largest score: whatever lies below it is out.
        maxima = scores[: height * blocks].reshape(height, blocks).max(axis=0)
        threshold = np.partition(maxima, blocks - n)[blocks - n]
        columns = np.flatnonzero(scores >= threshold if threshold > floor else scores > floor)
    values = scores[columns]
    if len(columns) > n:
        threshold = np.partition(values, len(values) - n)[len(values) - n]
        surely = values > threshold
        ties = np.flatnonzero(values == threshold)[: n - np.count_nonzero(surely)]
        surely[ties] = True
        columns, values = columns[surely], values[surely]
    return columns[np.argsort(-values, kind="stable")]
