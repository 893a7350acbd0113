"""Metrics of classifiers and taggers, by their definitions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int, str]
"""Where a span starts, where it ends (behind its last word), and what it is."""


def macro_f1(wanted: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    """The mean over labels of F1 = 2 TP / (2 TP + FP + FN); a label that is neither wanted nor said is left out.

    Args:
        wanted: bool (n, labels).
        said: bool (n, labels).
    """
    hits = (wanted & said).sum(axis=0)
    total = wanted.sum(axis=0) + said.sum(axis=0)
    used = total > 0
    return float((2 * hits[used] / total[used]).mean()) if used.any() else float("nan")


def spans(tags: Sequence[str]) -> set[Span]:
    """The spans of BIO tags; an I without a B, or of another kind than what stands before it, starts a span."""
    found: set[Span] = set()
    start, kind = 0, ""
    for place, tag in enumerate([*tags, "O"]):
        mark, _, name = tag.partition("-")
        if kind and (mark != "I" or name != kind):
            found.add((start, place, kind))
            kind = ""
        if mark != "O" and not kind:
            start, kind = place, name
    return found


def span_f1(wanted: Sequence[set[Span]], said: Sequence[set[Span]]) -> tuple[float, float, float]:
    """Precision, recall and F1 over all spans, right only where both ends and the kind are."""
    hits = sum(len(a & b) for a, b in zip(wanted, said, strict=True))
    n_wanted, n_said = sum(map(len, wanted)), sum(map(len, said))
    precision = hits / n_said if n_said else 0.0
    recall = hits / n_wanted if n_wanted else 0.0
    return precision, recall, 2 * hits / (n_wanted + n_said) if n_wanted + n_said else 0.0
