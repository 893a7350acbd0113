"""Mean reciprocal rank (Voorhees 1999)."""

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Judged


def mrr(judged: Judged, k: int) -> NDArray[np.float64]:
    """Reciprocal rank of every user, float64 (n_users,) in [0, 1].

    1 / rank of the *first* hit at rank ≤ k, 0 where there is none; further answers do not count.
    """
    hits = judged.hits[:, :k]
    if hits.shape[1] == 0:
        return np.zeros(len(hits), np.float64)
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1.0), 0.0)
