"""Hit rate (success): whether the list holds an answer at all."""

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Judged


def hit_rate(judged: Judged, k: int) -> NDArray[np.float64]:
    """1 for every user with a hit at rank ≤ k, else 0; float64 (n_users,)."""
    return np.asarray(judged.hits[:, :k].any(axis=1), np.float64)
