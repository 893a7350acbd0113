"""Novelty: mean self-information of what is shown (Zhou et al. 2010; Vargas and Castells 2011)."""

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Judged


def novelty(judged: Judged, k: int) -> NDArray[np.float64]:
    """Mean of −log2 p(i) over every user's list at rank ≤ k, in bits; float64 (n_users,).

    p(i) is the share of users with visible interactions who met item i; an item that nobody met counts as if one had,
    so that it stays finite. NaN for an empty list.
    """
    shown = judged.ranked.items[:, :k]
    present = shown >= 0
    users = max(judged.facts.n_users, 1)
    information = -np.log2(np.maximum(judged.facts.popularity, 1) / users)
    lengths = present.sum(axis=1)
    total = np.where(present, information[shown], 0.0).sum(axis=1)
    return np.where(lengths > 0, total / np.maximum(lengths, 1), np.nan)
