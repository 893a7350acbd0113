"""Shared words: items whose text has the rare words of what the user met, model names and sizes included."""

from copy import copy
from functools import partial
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.retrieval.parallel import in_threads, over_users
from kuapin.retrieval.recent import recent_items
from kuapin.retrieval.selection import gather
from kuapin.retrieval.source import Arrays, Candidates, NewItems, Scores, Source, Visible, with_rows
from kuapin.retrieval.waves import MOST_USERS, best_in_waves, tiles
from kuapin.text.unspaced import IDEOGRAMS

WORDS = r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}\p{Thai}\p{Hangul}\p{N}]+"


READ_TILE = 4_096
"""Texts of histories that meet others at a time."""
KERNEL_CELLS = 2**21
"""Pairs of texts that are compared at a time, at most."""


class LexicalConfig(BaseModel):
    """Which words count, and how a history is pooled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(0.1, ge=0.05, le=10, description="Of the log-sum-exp over the history.")
    min_items: int = Field(2, ge=1, description="A word in fewer texts than this tells nothing about other items.")
    max_share: float = Field(0.05, gt=0, le=1, description="A word in more than this share of the texts is left out.")
    max_history: int | None = Field(50, ge=1, description="Only so many most recent distinct items count; none: all.")


class Lexical(Source):
    """Score = log(1 + Σ_h (exp(cos(t_h, t_i) / τ) - 1) / |history|) with TF-IDF vectors t of unit length.

    Term frequency is 1 + log(count), inverse document frequency log((1 + n) / (1 + items with the word)) + 1 (Salton
    and Buckley 1988). Words are runs of letters and digits in lower case; Chinese and Japanese text, which has no
    spaces, is read as pairs of neighbouring characters. Floor: 0, items that share no word with the history.
    """

    name = "lexical"
    cold_items = True
    personal = True
    learns = False

    def __init__(self, config: LexicalConfig | None = None) -> None:
        self.config = config or LexicalConfig()

    def fit(self, visible: Visible) -> Self:
        """Weigh the words of the catalogue.

        Raises:
            InputError: there are no texts.
        """
        if visible.texts is None:
            raise InputError(
                "The source 'lexical' needs the items' texts, and none came. Render them or drop the source."
            )
        self._keep(tf_idf(visible.texts, self.config.min_items, self.config.max_share))
        return self

    def _keep(self, matrix: sparse.csr_matrix) -> None:
        self.matrix = matrix
        self._words = matrix.T.tocsr()

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Word overlap with the history, float32 (n_users, n_items)."""
        recent = recent_items(histories, self.config.max_history)
        rows = np.arange(histories.n_items) if items is None else items
        scores = [self._one(recent.of(user))[rows] for user in range(len(recent))]
        return np.stack(scores) if scores else np.empty((0, len(rows)), np.float32)

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The items that share the rarest words with the history; those that share none are left out."""
        history = recent_items(histories, self.config.max_history).matrix()
        lengths = np.maximum(np.diff(history.indptr), 1)
        rows = np.arange(histories.n_items) if items is None else np.asarray(items)
        found = []
        for users in tiles(len(histories), MOST_USERS):
            part = history[users]
            floor = np.zeros(part.shape[0], np.float32)
            found += best_in_waves(partial(self._totals, part), rows, n, floor)
        return gather(
            [(rows[best], np.log1p(total / length)) for (best, total), length in zip(found, lengths, strict=True)]
        )

    def _totals(self, history: sparse.csr_matrix, wanted: NDArray[np.integer]) -> Scores:
        """Σ_h (exp(cos / τ) - 1), float32 (n_users, len(wanted)); every text that anybody read is met once."""
        read, place = np.unique(history.indices, return_inverse=True)
        texts = sparse.csr_matrix((history.data, place, history.indptr), shape=(history.shape[0], len(read)))
        parts = [(self.matrix[read[tile]], texts[:, tile]) for tile in tiles(len(read), READ_TILE)]
        totals = np.zeros((history.shape[0], len(wanted)), np.float32)

        def add(columns: slice) -> None:
            own = wanted[columns]
            words = self._words if len(own) == self.matrix.shape[0] else self.matrix[own].T.tocsr()
            for queries, users in parts:
                shared = (queries @ words).tocsr()
                shared.data = np.expm1(shared.data / self.config.temperature)
                totals[:, columns] += users @ shared.toarray()

        in_threads(add, tiles(len(wanted), max(512, KERNEL_CELLS // max(min(len(read), READ_TILE), 1))))
        return totals

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        recent = recent_items(histories, self.config.max_history)
        n_words, longest = self.matrix.shape[1], int(recent.lengths.max(initial=0))
        scores = np.empty(len(items), np.float32)

        def run(first: int, stop: int) -> None:
            weights = np.zeros(n_words * longest, np.float32)  # words × history, zero but while a user is worked on
            for user in range(first, stop):
                part = slice(indptr[user], indptr[user + 1])
                history = self.matrix[recent.of(user)]
                texts = weights[: n_words * history.shape[0]].reshape(n_words, history.shape[0])
                texts[history.indices, np.repeat(np.arange(history.shape[0]), np.diff(history.indptr))] = history.data
                total = np.expm1(self.matrix[items[part]] @ texts / self.config.temperature).sum(axis=1)
                scores[part] = np.log1p(total / max(history.shape[0], 1))
                texts[history.indices] = 0.0

        over_users(run, len(recent))
        return scores

    def _one(self, history: NDArray[np.int32]) -> Scores:
        total = np.zeros(self.matrix.shape[0], np.float32)
        if len(history) == 0:
            return total
        shared = (self.matrix[history] @ self._words).tocsr()
        np.add.at(total, shared.indices, np.expm1(shared.data / self.config.temperature))
        return np.log1p(total / len(history))

    def with_items(self, new: NewItems) -> Self:
        """New items have no words: which words there are is part of what was fitted. Old ones keep theirs."""
        other = copy(self)
        other._keep(with_rows(self.matrix, len(new.catalogue)))
        return other

    def arrays(self) -> Arrays:
        """The TF-IDF matrix as CSR: `indptr`, `indices`, `values` and `n_words`."""
        matrix = self.matrix
        return {
            "indptr": matrix.indptr.astype(np.int64),
            "indices": matrix.indices.astype(np.int32),
            "values": matrix.data,
            "n_words": np.array([matrix.shape[1]], np.int64),
        }

    def restore(self, arrays: Arrays) -> Self:
        """Take the TF-IDF matrix."""
        shape = (len(arrays["indptr"]) - 1, int(arrays["n_words"][0]))
        self._keep(sparse.csr_matrix((arrays["values"], arrays["indices"], arrays["indptr"]), shape=shape))
        return self


def words(texts: pl.Series) -> pl.DataFrame:
    """One row a word of a text, in any order: `row` (uint32, of the text) and `word`."""
    lower = texts.str.to_lowercase()
    frame = pl.DataFrame({"row": np.arange(len(texts), dtype=np.uint32), "text": lower})
    plain = frame.select("row", word=pl.col("text").str.extract_all(WORDS)).explode("word").drop_nulls()
    runs = frame.select("row", run=pl.col("text").str.extract_all(IDEOGRAMS)).explode("run").drop_nulls()
    if runs.height == 0:
        return plain
    runs = runs.with_row_index("run_id")
    letters = runs.with_columns(letter=pl.col("run").str.split("")).explode("letter")
    pairs = letters.with_columns(next=pl.col("letter").shift(-1).over("run_id")).select(
        "row", word=pl.col("letter") + pl.col("next").fill_null("")
    )
    return pl.concat([plain, pairs])


def tf_idf(texts: pl.Series, min_items: int, max_share: float) -> sparse.csr_matrix:
    """TF-IDF of every text, float32 CSR (n_texts, n_words) with rows of unit length."""
    counts = words(texts).group_by("row", "word").len("count")
    spread = counts.group_by("word").len("items")
    most = max(max_share * len(texts), min_items)
    kept = spread.filter(pl.col("items").is_between(min_items, most)).sort("word").with_row_index("column")
    table = counts.join(kept, on="word").sort("row", "column")
    weight = (1 + np.log(table["count"].to_numpy())) * (np.log((1 + len(texts)) / (1 + table["items"].to_numpy())) + 1)
    rows = table["row"].to_numpy().astype(np.int64)
    norms = np.sqrt(np.bincount(rows, weights=weight**2, minlength=len(texts)))
    values = (weight / norms[rows]).astype(np.float32)
    columns = table["column"].to_numpy().astype(np.int32)
    return sparse.csr_matrix((values, (rows, columns)), shape=(len(texts), max(kept.height, 1)))
