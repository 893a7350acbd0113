"""How far the texts of a category lie from those of the rest of the shop."""

import numpy as np
from numpy.typing import NDArray

from kuapin.retrieval.source import Scores

NEAREST = 10
SAMPLED = 500
"""Items of the category at most that are looked at."""


def text_distance(
    vectors: Scores, items: NDArray[np.integer], others: NDArray[np.integer], rng: np.random.Generator
) -> float:
    """Mean over the items of 1 - the mean cosine to the ``NEAREST`` items outside: 0 is the same texts, 1 unrelated.

    Args:
        vectors: float32 (n_items, d) of unit length.
        items: rows of the category.
        others: rows of the items outside, at least one.
        rng: draws ``SAMPLED`` of the items where there are more.
    """
    return float(1 - _nearness(vectors, items, others, rng).mean())


def nearest_groups(
    vectors: Scores,
    items: NDArray[np.integer],
    others: NDArray[np.integer],
    group: NDArray[np.integer],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Share of the nearest items outside that lie in every group, float64 (max group + 1,).

    Args:
        vectors: float32 (n_items, d) of unit length.
        items: rows of the category.
        others: rows of the items outside.
        group: (n_items,), number of the group of every item.
        rng: as of :func:`text_distance`.
    """
    sample = _sampled(items, rng)
    near = others[_nearest(vectors[sample] @ vectors[others].T)]
    return np.bincount(group[near].ravel(), minlength=int(group.max()) + 1) / near.size


def _nearness(
    vectors: Scores, items: NDArray[np.integer], others: NDArray[np.integer], rng: np.random.Generator
) -> NDArray[np.float64]:
    cosine = vectors[_sampled(items, rng)] @ vectors[others].T
    return np.asarray(np.take_along_axis(cosine, _nearest(cosine), axis=1), np.float64)


def _nearest(cosine: Scores) -> NDArray[np.intp]:
    """Columns of the greatest values of every row, (n, at most NEAREST)."""
    k = min(NEAREST, cosine.shape[1])
    return np.argpartition(cosine, cosine.shape[1] - k, axis=1)[:, cosine.shape[1] - k :]


def _sampled(items: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.integer]:
    return np.sort(rng.permutation(items)[:SAMPLED])
