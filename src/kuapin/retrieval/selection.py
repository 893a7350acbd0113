"""The best n of sparse scores, and scores of single pairs out of a sparse matrix."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.retrieval.source import Candidates, Scores


def top_of_sparse(matrix: sparse.csr_matrix, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
    """The best ``n`` stored positive scores of every row; ties go to the smaller item row.

    Args:
        matrix: users × items, float32 CSR without duplicates.
        n: how many at most.
        items: the item rows that may be proposed; ``None`` means all.
    """
    allowed = matrix.data > 0
    if items is not None:
        member = np.zeros(matrix.shape[1], np.bool_)
        member[items] = True
        allowed &= member[matrix.indices]
    kept = np.flatnonzero(allowed)
    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))[kept]
    columns, values = matrix.indices[kept], matrix.data[kept]
    order = np.lexsort((columns, -values, users))
    counts = np.bincount(users, minlength=matrix.shape[0])
    first = np.cumsum(counts) - counts
    order = order[np.arange(len(order)) - np.repeat(first, counts) < n]
    indptr = np.concatenate(([0], np.cumsum(np.minimum(counts, n)))).astype(np.int64)
    return Candidates(indptr, columns[order].astype(np.int32), values[order])


def pairs_of_sparse(matrix: sparse.csr_matrix, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
    """Scores of given user–item pairs, 0 where nothing is stored: float32 (n,)."""
    matrix.sort_indices()
    width = np.int64(matrix.shape[1])
    stored = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * width + matrix.indices
    wanted = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)) * width + items
    if len(stored) == 0:
        return np.zeros(len(items), np.float32)
    place = np.minimum(np.searchsorted(stored, wanted), len(stored) - 1)
    return np.where(stored[place] == wanted, matrix.data[place], np.float32(0)).astype(np.float32)
