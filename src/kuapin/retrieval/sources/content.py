"""Frozen text: items that read like what the user met."""

from collections.abc import Iterator
from copy import copy
from functools import partial
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.errors import InputError, ModelFolderError
from kuapin.retrieval.parallel import in_threads
from kuapin.retrieval.recent import recent_items
from kuapin.retrieval.selection import Best, gather, pairs_by_user
from kuapin.retrieval.source import Arrays, Candidates, NewItems, Scores, Source, Visible
from kuapin.retrieval.waves import MOST_USERS, best_in_waves, tiles

READ_TILE, WANTED_TILE = 16_384, 128
"""Texts on the sides of a tile of cosines: those of histories, and those that are scored."""
POOLED_BYTES = 208 * 2**20
"""Size of the scores that are worked on at a time."""
MAXIMUM_CELLS = 2**20
"""Cosines that a maximum is taken over at a time."""


class ContentConfig(BaseModel):
    """How the frozen text that evaluations compare with pools a history; the ranker reads texts in ways of its own."""

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
    whitened: bool = Field(
        default=False, description="Whiten the vectors instead (retrieval/whitening.py): they tell items apart better."
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
    learns = False

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
        white = visible.whitened() if self.config.whitened else None
        if white is not None:
            vectors = white[first_of(self.text_of)]
        elif self.config.centred:
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
        history = self._history(histories)
        scores = np.empty((len(histories), len(text)), np.float32)
        for users, part in _parts(history, len(wanted)):
            scores[users] = self._finished(self._pooled(part, wanted))[:, column]
        scores[histories.lengths == 0] = self.floor
        return scores

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The items that read most like the history; nothing for users without one."""
        rows = np.arange(len(self.text_of)) if items is None else np.asarray(items)
        by_text = rows[np.argsort(self.text_of[rows], kind="stable")].astype(np.int32)
        wanted, start, count = np.unique(self.text_of[by_text], return_index=True, return_counts=True)

        def spread(texts: NDArray[np.integer], scores: Scores) -> Best:
            each = np.minimum(count[texts], n)  # of one text, the n smallest item rows are enough
            place = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each) + np.repeat(start[texts], each)
            chosen, value = by_text[place], np.repeat(scores, each)
            order = np.lexsort((chosen, -value))[:n]
            return chosen[order], self._finished(value[order])

        history, found = self._history(histories), []
        for users in tiles(len(histories), MOST_USERS):
            part = history[users]
            floor = np.where(np.diff(part.indptr) > 0, np.float32(-np.inf), np.float32(np.inf))
            found += best_in_waves(partial(self._pooled, part), wanted, n, floor)
        return gather([spread(*best) for best in found])

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        history = self._history(histories)
        ends = history.indptr.tolist()

        def score(user: int, wanted: NDArray[np.int32]) -> Scores:
            own = slice(ends[user], ends[user + 1])
            if own.start == own.stop:
                return np.full(len(wanted), self.floor, np.float32)
            read, counts = self.vectors[history.indices[own]], history.data[own]
            if self.config.pooling == "mean":
                read = self._mean(counts[None] @ read)
            cosine = read @ self.vectors[self.text_of[wanted]].T
            if self.config.pooling != "logsumexp":
                return np.asarray(cosine.max(axis=0))
            cosine *= np.float32(1 / self.config.temperature)
            return self._finished(counts @ np.exp(cosine, out=cosine))

        return pairs_by_user(score, indptr, items)

    def _history(self, histories: Histories) -> sparse.csr_matrix:
        """Users × distinct texts, float32 CSR: how much the recent distinct items that have the text count."""
        recent = recent_items(histories, self.config.max_history)
        texts = sparse.csr_matrix(
            (self._counts(recent), self.text_of[recent.items], recent.indptr), shape=(len(recent), len(self.vectors))
        )
        texts.sum_duplicates()
        return texts

    def _counts(self, recent: Histories) -> Scores:
        """How much every item of the histories counts, float32 (n,); 1 on average over a history."""
        return np.ones(len(recent.items), np.float32)

    def _pooled(self, history: sparse.csr_matrix, wanted: NDArray[np.integer]) -> Scores:
        """Users × wanted texts, float32: the pooled cosines, for log-sum-exp Σ exp(cos / τ)."""
        if self.config.pooling == "mean":
            return np.asarray(self._mean(history @ self.vectors) @ self.vectors[wanted].T)
        read, place = np.unique(history.indices, return_inverse=True)
        texts = sparse.csr_matrix((history.data, place, history.indptr), shape=(history.shape[0], len(read)))
        queries = self.vectors[read]
        pooled = np.zeros((history.shape[0], len(wanted)), np.float32)

        def maximum(columns: slice) -> None:
            pooled[:, columns] = _maximum(texts, queries @ self.vectors[wanted[columns]].T)

        # Every text that anybody read meets every wanted text once, in tiles that stay in the processor's cache.
        inverse = np.float32(1 / self.config.temperature)
        parts = [(queries[rows] * inverse, texts[:, rows]) for rows in tiles(len(read), READ_TILE)]

        def total(columns: slice) -> None:
            block = self.vectors[wanted[columns]].T
            for tile, users in parts:
                kernel = tile @ block  # at most e^40 after the next line: far from float32's limit
                pooled[:, columns] += users @ np.exp(kernel, out=kernel)

        if self.config.pooling == "max":
            in_threads(maximum, tiles(len(wanted), max(64, MAXIMUM_CELLS // max(texts.nnz, 1))))
        else:
            in_threads(total, tiles(len(wanted), WANTED_TILE))
        return pooled

    def _mean(self, total: Scores) -> Scores:
        """The mean vector of every user at unit length, float32 (n_users, d), from the sum of what he read."""
        return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9), np.float32)

    def _finished(self, pooled: Scores) -> Scores:
        if self.config.pooling != "logsumexp":
            return pooled
        return np.log(np.maximum(pooled, np.finfo(np.float32).tiny, out=pooled), out=pooled)

    def with_items(self, new: NewItems) -> Self:
        """New texts behind the old ones."""
        if new.white is None or not self.config.whitened:
            raise ModelFolderError("The release cannot read the texts of new items. Train again.")
        return self._with_texts(new, new.white)

    def _with_texts(self, new: NewItems, vectors: Scores) -> Self:
        other = copy(self)
        other.vectors = np.concatenate((self.vectors, vectors))
        numbers = np.arange(len(self.vectors), len(other.vectors), dtype=np.int32)
        other.text_of = new.into(self.text_of, numbers)
        return other

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


def _parts(history: sparse.csr_matrix, n_texts: int) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """Cut the users so that a float32 array of ``n_texts`` columns stays below ``POOLED_BYTES``."""
    height = max(1, POOLED_BYTES // (4 * max(n_texts, 1)))
    for first in range(0, history.shape[0], height):
        yield slice(first, first + height), history[first : first + height]


def first_of(which: NDArray[np.int32]) -> NDArray[np.intp]:
    """The first row of every group, in the order of the groups' numbers."""
    return np.unique(which, return_index=True)[1]


def distinct_rows(vectors: Scores) -> tuple[Scores, NDArray[np.int32]]:
    """The distinct rows of a float32 matrix as they come, and for every row which of them it is, int32 (n,)."""
    rows = np.ascontiguousarray(vectors, np.float32)
    number: dict[bytes, int] = {}  # sorting whole rows takes four times as long
    which = np.fromiter((number.setdefault(row.tobytes(), len(number)) for row in rows), np.int32, len(rows))
    return rows[first_of(which)], which
