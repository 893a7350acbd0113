"""Recall: how many of the answers are in the list."""

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Judged


def recall(judged: Judged, k: int) -> NDArray[np.float64]:
    """Recall@k of every user, float64 (n_users,) in [0, 1]: hits at rank ≤ k / answers.

    The divisor is the number of answers, not min(k, answers): with more than k answers it stays below 1.
    """
    return np.asarray(judged.hits[:, :k].sum(axis=1) / judged.relevant, np.float64)
