"""Precision: how much of the list are answers."""

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Judged


def precision(judged: Judged, k: int) -> NDArray[np.float64]:
    """Precision@k of every user, float64 (n_users,) in [0, 1]: hits at rank ≤ k / k.

    The divisor is k even where a list is shorter: a place left empty is a miss.
    """
    return np.asarray(judged.hits[:, :k].sum(axis=1) / k, np.float64)
