"""Clusters of texts: k-means of their vectors."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

SAMPLED = 5_000
"""So many vectors, at most, settle where the centres lie."""


def clusters_of(points: NDArray[np.float32], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The cluster of every vector (n_points, d), int64 (n_points,) below ``n``."""
    sample = points[rng.permutation(len(points))[:SAMPLED]]
    return nearest(points, kmeans2(sample, n, minit="++", iter=15, seed=rng)[0])


def nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """The nearest of some centres (k, d) to every point (n_points, d), int64 (n_points,)."""
    return np.asarray(np.argmax(points @ centres.T - (centres**2).sum(axis=1) / 2, axis=1), np.int64)
