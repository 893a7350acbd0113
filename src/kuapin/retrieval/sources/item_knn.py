"""Item-kNN: items met by the same users, damped by how many users each item has."""

from collections.abc import Callable, Iterator
from copy import copy
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.parallel import in_threads
from kuapin.retrieval.selection import Best, pairs_by_user, top_by_user
from kuapin.retrieval.source import Arrays, Candidates, NewItems, Scores, Source, Visible, with_rows


class ItemKnnConfig(BaseModel):
    """How similarities are damped and how many are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    neighbours: int | None = Field(
        None, ge=1, description="Most similar items kept per item of the history; none: as many as max_pairs allows."
    )
    max_pairs: int = Field(
        16_000_000, ge=1, description="Similarities kept at most, 8 bytes each; the longest rows are cut first."
    )
    shrinkage: float = Field(5.0, ge=0, description="Users added to every item's count: rare items are damped.")


Weigh = Callable[[Scores, NDArray[np.integer], NDArray[np.integer]], Scores]
BLOCK_PAIRS = 4_000_000
"""Co-occurring pairs counted at a time by a thread: about 50 bytes each."""


class ItemKnn(Source):
    """Score = history · S, S = diag(c + s)^-½ · XᵀX · diag(c + s)^-½ with the diagonal 0.

    X is the binary user × item matrix, c its column sums, s the shrinkage. For a launch, A and B being the columns of
    X in the old and the new category, the block of S from A to B is diag(c_A + s)^-½ · AᵀB · diag(c_B + s)^-½; there
    X has the rows of those alone who have been in the new category, so that c_A counts who could be in common at all,
    and S has the columns of the new category alone, for nothing else is ranked. (An item that is moved into the
    category afterwards has none until the next training.)

    A shop of some ten thousand items keeps all of S, for cutting costs quality (Amazon, launch of Office from Arts:
    NDCG@10 .049 whole, .041 with 200 neighbours, .036 with 50). A larger one keeps the largest similarities of every
    row (ties: smaller item row). Floor: 0, items without a common user.
    """

    name = "item_knn"
    cold_items = False
    personal = True

    def __init__(self, config: ItemKnnConfig | None = None) -> None:
        self.config = config or ItemKnnConfig()

    def fit(self, visible: Visible) -> Self:
        """Count which items share users."""
        matrix = ranked = visible.histories.matrix()
        if visible.opening is not None:
            ranked = only_columns(matrix, visible.opening)
            been = np.diff(ranked.indptr) > 0
            matrix, ranked = matrix[been], ranked[been]
        neighbours = row_limit(matrix, self.config.max_pairs, ranked)
        if self.config.neighbours is not None:
            neighbours = min(neighbours, self.config.neighbours)
        self.similarity = item_similarity(matrix, self.config.shrinkage, neighbours, ranked)
        return self

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """History times similarity, float32 (n_users, n_items)."""
        similarity = self.similarity if items is None else self.similarity[:, items]
        return np.asarray((histories.matrix() @ similarity).toarray(), np.float32)

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The items closest to the history; those that share no user with it are left out."""
        history = histories.matrix()
        similarity = self.similarity if items is None else self.similarity[:, items]
        rows = np.arange(histories.n_items) if items is None else np.asarray(items)

        def best(user: int) -> Best:
            scores = _one(history, similarity, user)
            columns = best_columns(scores, n, floor=0.0)
            return rows[columns], scores[columns]

        return top_by_user(best, len(histories))

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        history = histories.matrix()
        return pairs_by_user(lambda user, wanted: _one(history, self.similarity, user)[wanted], indptr, items)

    def between(self, history: NDArray[np.integer], items: NDArray[np.integer]) -> Scores:
        """What each item of a history adds to the score of each item, float32 (len(history), len(items))."""
        return np.asarray(self.similarity[history][:, items].toarray(), np.float32)

    def with_items(self, new: NewItems) -> Self:
        """New items share users with none."""
        other, size = copy(self), len(new.catalogue)
        other.similarity = with_rows(self.similarity, size, size)
        return other

    def arrays(self) -> Arrays:
        """The similarity as CSR: `indptr` int64 (n_items + 1,), `indices` int32 (k,), `values` float32 (k,)."""
        matrix = self.similarity
        return {"indptr": matrix.indptr.astype(np.int64), "indices": matrix.indices, "values": matrix.data}

    def restore(self, arrays: Arrays) -> Self:
        """Take the similarity."""
        n_items = len(arrays["indptr"]) - 1
        self.similarity = sparse.csr_matrix(
            (arrays["values"], arrays["indices"], arrays["indptr"]), shape=(n_items, n_items), dtype=np.float32
        )
        return self


def _one(history: sparse.csr_matrix, similarity: sparse.csr_matrix, user: int) -> Scores:
    """The scores of one user: the sum of the similarity's rows of his history."""
    met = similarity[history.indices[history.indptr[user] : history.indptr[user + 1]]]
    scores: Scores = met.T @ np.ones(met.shape[0], np.float32)
    return scores


def only_columns(matrix: sparse.csr_matrix, columns: NDArray[np.integer]) -> sparse.csr_matrix:
    """The matrix with nothing in its other columns."""
    wanted = np.zeros(matrix.shape[1], np.bool_)
    wanted[columns] = True
    kept = wanted[matrix.indices]
    indptr = np.concatenate(([0], np.cumsum(kept)))[matrix.indptr]
    return sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)


def row_limit(matrix: sparse.csr_matrix, max_pairs: int, ranked: sparse.csr_matrix | None = None) -> int:
    """The longest row of S with which it holds at most ``max_pairs`` entries, 1 at least (``weighed_pairs``)."""
    columns = matrix.shape[1] if ranked is None else np.unique(ranked.indices).size
    longest = np.minimum(pairs_of(matrix, ranked), columns)  # of every row, counting users in common twice
    low, high = 1, max(matrix.shape[1], 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(longest, middle).sum() <= max_pairs else (low, middle - 1)
    return low


def pairs_of(matrix: sparse.csr_matrix, ranked: sparse.csr_matrix | None = None) -> NDArray[np.float64]:
    """How many interactions (in ``ranked``) the users of every item have together, float64 (n_items,)."""
    lengths = np.diff((matrix if ranked is None else ranked).indptr)
    return np.asarray(matrix.T @ lengths.astype(np.float64))


def item_similarity(
    matrix: sparse.csr_matrix, shrinkage: float, neighbours: int, ranked: sparse.csr_matrix | None = None
) -> sparse.csr_matrix:
    """S of ``ItemKnn`` as float32 CSR (n_items, n_items), from a binary user × item matrix; see ``weighed_pairs``."""
    count = np.bincount(matrix.indices, minlength=matrix.shape[1])
    with np.errstate(divide="ignore"):
        damping = np.where(count > 0, 1 / np.sqrt(count + shrinkage), 0.0).astype(np.float32)
    return weighed_pairs(matrix, lambda both, one, other: both * damping[one] * damping[other], neighbours, ranked)


def weighed_pairs(
    matrix: sparse.csr_matrix, weigh: Weigh, neighbours: int, ranked: sparse.csr_matrix | None = None
) -> sparse.csr_matrix:
    """The items that share users, weighed; float32 CSR (n_items, n_items), the diagonal 0.

    Args:
        matrix: binary user × item matrix.
        weigh: (users in common, rows of the one items, rows of the other items), all (k,) → float32 (k,); 0: not kept.
        neighbours: the largest of every row that are kept.
        ranked: the matrix with only the columns that S is to have; ``None``: all.
    """
    others = matrix if ranked is None else ranked
    users_of = matrix.T.tocsr()

    def rows(run: tuple[int, int]) -> sparse.csr_matrix:
        block = (users_of[run[0] : run[1]] @ others).tocsr()
        row = np.repeat(np.arange(*run), np.diff(block.indptr))
        block.data = np.where(block.indices == row, 0, weigh(block.data, row, block.indices))
        block.eliminate_zeros()
        return _largest(block, neighbours)

    parts = in_threads(rows, list(blocks(pairs_of(matrix, ranked))))
    similarity = sparse.vstack(parts, format="csr", dtype=np.float32)
    similarity.sort_indices()
    return similarity


def blocks(pairs: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Cut the items into runs of about ``BLOCK_PAIRS`` pairs each."""
    cut = np.flatnonzero(np.diff(np.cumsum(pairs) // BLOCK_PAIRS)) + 1
    edges = [0, *cut.tolist(), len(pairs)]
    return pairwise(edges)


def _largest(block: sparse.csr_matrix, n: int) -> sparse.csr_matrix:
    """Keep the ``n`` largest of every row; ties go to the smaller column."""
    lengths = np.diff(block.indptr)
    keep = np.repeat(lengths <= n, lengths)
    for row in np.flatnonzero(lengths > n):
        part = slice(block.indptr[row], block.indptr[row + 1])
        values = block.data[part]
        threshold = np.partition(values, len(values) - n)[len(values) - n]
        chosen = values > threshold
        equal = np.flatnonzero(values == threshold)
        equal = equal[np.argsort(block.indices[part][equal], kind="stable")[: n - chosen.sum()]]
        chosen[equal] = True
        keep[part] = chosen
    indptr = np.concatenate(([0], np.cumsum(np.minimum(lengths, n))))
    return sparse.csr_matrix((block.data[keep], block.indices[keep], indptr), shape=block.shape)
