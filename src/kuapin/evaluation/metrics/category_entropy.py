"""Category entropy: how mixed a list is over the categories (Shannon 1948; Zuva and Zuva 2017)."""

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Judged


def category_entropy(judged: Judged, k: int) -> NDArray[np.float64]:
    """Entropy of the categories in every user's list at rank ≤ k, in bits; float64 (n_users,).

    −Σ p(c) log2 p(c) with p(c) the share of the list in category c: 0 when all are in one, log2(k) when each item is
    in another. NaN for an empty list.
    """
    shown = judged.ranked.items[:, :k]
    present = shown >= 0
    codes = np.where(present, judged.facts.category[shown], -1)
    lengths = present.sum(axis=1)
    information = np.zeros(len(shown), np.float64)
    for place in range(shown.shape[1]):
        # An item's own category has n of the list's places, so it adds -log2(n / length) / length.
        same = (codes == codes[:, [place]]).sum(axis=1)
        here = present[:, place]
        information[here] -= np.log2(same[here] / lengths[here])
    return np.where(lengths > 0, information / np.maximum(lengths, 1), np.nan)
