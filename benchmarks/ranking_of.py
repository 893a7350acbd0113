"""NDCG@10 and hit rate@10 of candidate lists whose answer is known, a value a question."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import interval, ratio_interval
from kuapin.retrieval.source import Candidates

Vector = NDArray[np.float64]


def ndcg_of(found: Candidates, answers: Histories) -> Vector:
    """NDCG@10 of every list, binary gains, ideal cut at min(10, answers); float64 (n,)."""
    values = np.zeros(len(answers))
    for one in range(len(answers)):
        right = np.unique(answers.of(one))
        items = found.items[found.indptr[one] : found.indptr[one + 1]][:10]
        gain = np.isin(items, right) / np.log2(np.arange(2, len(items) + 2))
        values[one] = gain.sum() / (1 / np.log2(np.arange(2, min(len(right), 10) + 2))).sum()
    return values


def best_of(methods: Mapping[str, Vector]) -> str:
    """The method with the greatest mean."""
    return max(methods, key=lambda name: float(methods[name].mean()))


def compared(
    name: str,
    ours: Vector,
    rivals: Mapping[str, Vector],
    clusters: NDArray[np.integer] | None = None,
    *,
    only_ours: bool = False,
) -> dict[str, Figure]:
    """Ours, the rivals, and the ratio of ours to the best of them with its interval.

    Args:
        name: that the figures begin with.
        ours: a value a question.
        rivals: method → the same.
        clusters: questions with one number are drawn together.
        only_ours: leave the rivals' own figures out.
    """
    best = best_of(rivals)
    figures = {f"{name}.ours": figure(ours, clusters)}
    if not only_ours:
        figures |= {f"{name}.{one}": figure(values, clusters) for one, values in rivals.items()}
    ratio = ratio_interval(ours, rivals[best], clusters=clusters)
    return figures | {f"{name}.ratio": Figure(ratio.value, ratio.low, ratio.high, f"× {best}")}


def figure(values: Vector, clusters: NDArray[np.integer] | None = None) -> Figure:
    """The mean with its interval."""
    found = interval(values, clusters=clusters)
    return Figure(found.value, found.low, found.high, "")
