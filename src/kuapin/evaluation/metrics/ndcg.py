"""Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002), binary gains."""

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Judged


def ndcg(judged: Judged, k: int) -> NDArray[np.float64]:
    """NDCG@k of every user, float64 (n_users,) in [0, 1].

    DCG@k = Σ over hits at rank r ≤ k of 1 / log2(r + 1), divided by the DCG of a list that starts with
    min(k, answers) hits. ``k`` counts even where a list is shorter: what is not there is a miss.
    """
    discount = 1.0 / np.log2(np.arange(2, max(k, 1) + 2, dtype=np.float64))
    hits = judged.hits[:, :k]
    ideal = np.cumsum(discount)[np.minimum(judged.relevant, k) - 1]
    return np.asarray((hits @ discount[: hits.shape[1]]) / ideal, np.float64)
