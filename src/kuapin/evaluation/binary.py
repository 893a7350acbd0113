"""How well scores tell the right pairs from the wrong ones: average precision and the area under the ROC curve."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def average_precision(right: NDArray[np.bool_], scores: Vector, weight: Vector | None = None) -> float:
    """Σ over thresholds of (recall gained there) · (precision there); pairs of one score share a threshold.

    Args:
        right: bool (n,).
        scores: float64 (n,), higher is surer.
        weight: float64 (n,), how often a pair counts; ``None``: once.
    """
    hits, every = _cumulated(right, scores, weight)
    gained = np.diff(hits, prepend=0.0)
    return float((gained * hits / np.maximum(every, 1e-12)).sum() / max(hits[-1], 1e-12)) if len(hits) else 0.0


def area_under_roc(right: NDArray[np.bool_], scores: Vector, weight: Vector | None = None) -> float:
    """The probability that a right pair scores higher than a wrong one, ties counting half (Mann and Whitney 1947)."""
    hits, every = _cumulated(right, scores, weight)
    if len(hits) == 0:
        return 0.5
    misses = every - hits
    gained, passed = np.diff(hits, prepend=0.0), np.diff(misses, prepend=0.0)
    beaten = misses[-1] - misses + passed / 2
    return float((gained * beaten).sum() / max(hits[-1] * misses[-1], 1e-12))


def _cumulated(right: NDArray[np.bool_], scores: Vector, weight: Vector | None) -> tuple[Vector, Vector]:
    """Right pairs and all pairs down to every distinct score, the greatest first."""
    if len(scores) == 0:
        return np.empty(0), np.empty(0)
    weight = np.ones(len(scores)) if weight is None else weight
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    return np.cumsum((weight * right)[order])[ends], np.cumsum(weight[order])[ends]
