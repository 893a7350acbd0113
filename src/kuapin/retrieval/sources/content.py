"""Frozen text: items that read like what the user met."""

from collections.abc import Iterator
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.retrieval.source import Arrays, Scores, Source, Visible

BLOCK_BYTES = 64 * 2**20
"""Size of the largest temporary array."""


class ContentConfig(BaseModel):
    """How a history is pooled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pooling: Literal["logsumexp", "mean", "max"] = Field(
        "logsumexp", description="Over the history: log-sum-exp of the cosines, cosine to the mean vector, or maximum."
    )
    temperature: float = Field(
        0.05, ge=0.025, le=10, description="Of the log-sum-exp; small looks at the nearest item only."
    )
    max_history: int | None = Field(
        50, ge=1, description="Only this many most recent distinct items of a history count; none: all."
    )
    centred: bool = Field(
        default=True, description="Subtract the catalogue's mean vector first: what all texts share says nothing."
    )


class Content(Source):
    """Score = log Σ_h exp(cos(v_h, v_i) / τ) over the distinct items h of the history.

    The vectors are centred on the catalogue's mean and have unit length. It never looks at interactions other than
    the history at hand, so that one fit serves every split of a log. Items with one and the same text are scored once.
    Floor: users without history score −1 / τ (pooling mean and max: −1) everywhere.
    """

    name = "content"
    cold_items = True
    personal = True

    def __init__(self, config: ContentConfig | None = None) -> None:
        self.config = config or ContentConfig()

    def fit(self, visible: Visible) -> Self:
        """Centre the vectors and find the distinct ones.

        Raises:
            InputError: there are no vectors.
        """
        if visible.vectors is None:
            raise InputError(
                "The source 'content' needs text vectors, and none came. Encode the items or drop the source."
            )
        vectors, self.text_of = distinct_rows(visible.vectors)
        if self.config.centred:
            weight = np.bincount(self.text_of, minlength=len(vectors)) / max(len(self.text_of), 1)
            vectors = vectors - (weight @ vectors).astype(np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors = (vectors / np.maximum(norms, 1e-9)).astype(np.float32)
        return self

    @property
    def floor(self) -> float:
        """The score of everything for a user without history."""
        return -1.0 / self.config.temperature if self.config.pooling == "logsumexp" else -1.0

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Closeness to the history, float32 (n_users, n_items)."""
        text = self.text_of if items is None else self.text_of[items]
        wanted, column = np.unique(text, return_inverse=True)
        return self._texts(self.history_texts(histories), wanted)[:, column]

    def history_texts(self, histories: Histories) -> sparse.csr_matrix:
        """Users × distinct texts, float32 CSR: how many of the recent distinct items have the text."""
        recent = recent_items(histories, self.config.max_history)
        texts = sparse.csr_matrix(
            (np.ones(len(recent.items), np.float32), self.text_of[recent.items], recent.indptr),
            shape=(len(recent), len(self.vectors)),
        )
        texts.sum_duplicates()
        return texts

    def _texts(self, history: sparse.csr_matrix, wanted: NDArray[np.integer]) -> Scores:
        """Scores of users × wanted texts, float32."""
        if self.config.pooling == "mean":
            scores: Scores = self._mean(history) @ self.vectors[wanted].T
            scores[np.diff(history.indptr) == 0] = self.floor
            return scores
        scores = np.empty((history.shape[0], len(wanted)), np.float32)
        read, place = np.unique(history.indices, return_inverse=True)
        history = sparse.csr_matrix((history.data, place, history.indptr), shape=(history.shape[0], len(read)))
        queries = self.vectors[read]
        for block in _blocks(len(wanted), max(len(read), history.nnz if self.config.pooling == "max" else 1)):
            cosine = queries @ self.vectors[wanted[block]].T
            scores[:, block] = (
                self._logsumexp(history, cosine) if self.config.pooling == "logsumexp" else _maximum(history, cosine)
            )
        scores[np.diff(history.indptr) == 0] = self.floor
        return scores

    def _mean(self, history: sparse.csr_matrix) -> Scores:
        mean: Scores = history @ self.vectors
        return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9), np.float32)

    def _logsumexp(self, history: sparse.csr_matrix, cosine: Scores) -> Scores:
        temperature = np.float32(self.config.temperature)
        # A cosine is at most 1, so that the largest exponent is 0: nothing overflows.
        cosine -= np.float32(1)
        cosine /= temperature
        np.exp(cosine, out=cosine)
        total = np.asarray(history @ cosine)
        np.maximum(total, np.finfo(np.float32).tiny, out=total)
        np.log(total, out=total)
        total += np.float32(1) / temperature
        return total

    def arrays(self) -> Arrays:
        """`vectors`: float32 (n_texts, d), centred; `text_of`: int32 (n_items,)."""
        return {"vectors": self.vectors, "text_of": self.text_of}

    def restore(self, arrays: Arrays) -> Self:
        """Take `vectors` and `text_of`."""
        self.vectors = np.asarray(arrays["vectors"], np.float32)
        self.text_of = np.asarray(arrays["text_of"], np.int32)
        return self


def _maximum(history: sparse.csr_matrix, cosine: Scores) -> Scores:
    filled = np.flatnonzero(np.diff(history.indptr))
    best = np.zeros((history.shape[0], cosine.shape[1]), np.float32)
    if len(filled):
        best[filled] = np.maximum.reduceat(cosine[history.indices], history.indptr[filled], axis=0)
    return best


def _blocks(n: int, rows: int) -> Iterator[slice]:
    """Cut ``n`` columns so that a float32 array of ``rows`` rows stays below ``BLOCK_BYTES``."""
    width = max(1, BLOCK_BYTES // (4 * max(rows, 1)))
    return (slice(start, start + width) for start in range(0, n, width))


def distinct_rows(vectors: Scores) -> tuple[Scores, NDArray[np.int32]]:
    """The distinct rows of a float32 matrix, and for every row which of them it is, int32 (n,)."""
    bytes_of = np.ascontiguousarray(vectors, np.float32).view(np.dtype((np.void, 4 * vectors.shape[1])))[:, 0]
    _, first, which = np.unique(bytes_of, return_index=True, return_inverse=True)
    return vectors[first], which.astype(np.int32)


def recent_items(histories: Histories, max_history: int | None) -> Histories:
    """Every item of a history once, at its last interaction, and only the ``max_history`` most recent of these."""
    pair = histories.users.astype(np.int64) * histories.n_items + histories.items
    _, last = np.unique(pair[::-1], return_index=True)
    keep = np.zeros(len(pair), np.bool_)
    keep[len(pair) - 1 - last] = True
    recent = histories.keep(keep)
    if max_history is None:
        return recent
    from_end = np.repeat(recent.indptr[1:], recent.lengths) - np.arange(len(recent.items))
    return recent.keep(from_end <= max_history)
