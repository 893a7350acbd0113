"""Popularity bias: how far the lists lean towards what is popular already."""

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Judged


def popularity_percentile(judged: Judged, k: int) -> NDArray[np.float64]:
    """Mean popularity percentile of every user's list at rank ≤ k, float64 (n_users,) in [0, 1].

    An item's percentile is the share of the candidates that are less popular, ties counting half: 0.5 on average for a
    random list, near 1 for a list of best sellers, exactly 0.5 while the category is cold. NaN for an empty list.
    """
    popularity = judged.facts.popularity
    ordered = np.sort(popularity[judged.facts.candidates])
    below = np.searchsorted(ordered, popularity, side="left")
    not_above = np.searchsorted(ordered, popularity, side="right")
    return _mean((below + not_above) / (2.0 * max(len(ordered), 1)), judged, k)


def average_popularity(judged: Judged, k: int) -> NDArray[np.float64]:
    """Average recommendation popularity (ARP, Yin et al. 2012) of every user's list at rank ≤ k, float64 (n_users,).

    The mean number of visible users who met the items shown. NaN for an empty list.
    """
    return _mean(judged.facts.popularity.astype(np.float64), judged, k)


def _mean(values: NDArray[np.float64], judged: Judged, k: int) -> NDArray[np.float64]:
    shown = judged.ranked.items[:, :k]
    present = shown >= 0
    lengths = present.sum(axis=1)
    return np.where(lengths > 0, np.where(present, values[shown], 0.0).sum(axis=1) / np.maximum(lengths, 1), np.nan)
