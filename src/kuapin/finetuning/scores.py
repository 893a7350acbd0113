"""Metrics of classifiers and taggers, by their definitions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Span = tuple[int, int, str]
"""Where a span starts, where it ends (behind its last word), and what it is."""


def label_counts(wanted: NDArray[np.bool_], said: NDArray[np.bool_]) -> sparse.csr_array:
    """Of every example the labels that it rightly got, then those that are wanted or said; float64 (n, 2 labels)."""
    asked, given = (sparse.csr_array(labels, dtype=np.float64) for labels in (wanted, said))
    return sparse.hstack([asked.multiply(given), asked + given], format="csr")


def macro_f1_of(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Macro-F1 from the means of ``label_counts``, (…, 2 labels) → (…)."""
    hits, total = np.split(means, 2, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hits / total
    used = total > 0
    n = used.sum(axis=-1)
    return np.where(n > 0, np.where(used, f1, 0.0).sum(axis=-1) / np.maximum(n, 1), np.nan)


def macro_f1(wanted: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    """The mean over labels of F1 = 2 TP / (2 TP + FP + FN); a label that is neither wanted nor said is left out.

    Args:
        wanted: bool (n, labels).
        said: bool (n, labels).
    """
    return float(macro_f1_of(label_counts(wanted, said).sum(axis=0)))


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


def span_counts(wanted: Sequence[set[Span]], said: Sequence[set[Span]]) -> NDArray[np.float64]:
    """Of every text how many spans are right (both ends and the kind), said, and wanted; float64 (n, 3)."""
    rows = [(len(a & b), len(b), len(a)) for a, b in zip(wanted, said, strict=True)]
    return np.array(rows, np.float64).reshape(-1, 3)


def span_precision(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right of what is said, from sums or means of ``span_counts``, (…, 3) → (…); 0 where nothing is said."""
    return _share(counts[..., 0], counts[..., 1])


def span_recall(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right of what is wanted, likewise."""
    return _share(counts[..., 0], counts[..., 2])


def span_f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1, likewise."""
    return _share(2 * counts[..., 0], counts[..., 1] + counts[..., 2])


def _share(part: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(of > 0, part / np.where(of > 0, of, 1.0), 0.0)
