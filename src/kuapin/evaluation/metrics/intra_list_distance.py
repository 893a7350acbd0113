"""Intra-list distance: how far the items of a list lie from each other (Ziegler et al. 2005; Zhang and Hurley 2008)."""

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Ranked


def intra_list_distance(ranked: Ranked, vectors: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """Mean of 1 - cosine over all pairs of items at rank ≤ k of every list; float64 (n_users,).

    Args:
        ranked: the lists.
        vectors: float32 (n_items, d), of unit length.
        k: how many places are looked at.

    Returns:
        NaN for a list of fewer than two items.
    """
    found = np.full(len(ranked), np.nan)
    for user, row in enumerate(ranked.items[:, :k]):
        items = row[row >= 0]
        if len(items) > 1:
            cosine = vectors[items] @ vectors[items].T
            pairs = len(items) * (len(items) - 1)
            found[user] = 1.0 - (float(cosine.sum()) - float(np.trace(cosine))) / pairs
    return found
