"""What a source of candidates is: it learns from visible interactions and scores items for histories.

A source never knows who a user is: it is handed histories, so that a new user, a new interaction and a visitor count
without any training. Scores of different sources are not comparable; the ranker puts them on one scale.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories, slices_of
from kuapin.errors import ModelFolderError
from kuapin.progress import SILENT, Progress
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.whitening import whiten
from kuapin.sequence.starting import Start

T = TypeVar("T", bound=np.generic)
Scores = NDArray[np.float32]
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Visible:
    """All that a source may learn from; nothing else feeds it.

    Attributes:
        catalogue: all items, those of a category that has just opened included.
        histories: the interactions that training may see.
        vectors: float32 (n_items, d) unit-length text vectors, or ``None`` where no source needs them.
        now: unix seconds (or log order) at which the recommendations will be made.
        texts: the masked text of every item, in row order, or ``None`` where no source reads them.
        white: the vectors whitened; ``None``: whoever needs them whitens. Handed in where many models are fitted.
        opening: int32, ascending rows of the items of a category that has just opened; ``None``: the running shop.
        progress: told of training that takes long.
        folder: where such a training keeps its state and takes it up again; ``None``: nowhere.
        start: a user model of several other shops to begin from; ``None``: the one that the settings name, if any.
    """

    catalogue: Catalogue
    histories: Histories
    vectors: Scores | None
    now: int
    texts: pl.Series | None = None
    white: Scores | None = None
    opening: NDArray[np.int32] | None = None
    progress: Progress = SILENT
    folder: Path | None = None
    start: Start | None = None

    def whitened(self) -> Scores | None:
        """The whitened vectors, float32 (n_items, d), or ``None`` where there are no vectors."""
        if self.white is not None or self.vectors is None:
            return self.white
        return whiten(self.vectors)


@dataclass(frozen=True)
class NewItems:
    """Items that come to a fitted release: new ones behind the old, and others in place of old ones.

    Attributes:
        rows: int32 (k,), distinct; of those beyond the old catalogue none is left out.
        catalogue: with them in it; codes of old categories, paths and brands are as before.
        white: float32 (k, d), whitened vectors of their texts; ``None``: no source reads texts.
        usual: float32 (k,), users of the mean item of their category.
        alike: int32 (k, m), rows of the old items of the same category that read most like each; -1 where none is left.
    """

    rows: NDArray[np.int32]
    catalogue: Catalogue
    white: Scores | None
    usual: Scores
    alike: NDArray[np.int32]

    def into(self, old: NDArray[T], values: NDArray[T] | float) -> NDArray[T]:
        """An array over the items (n_items, …) with the values of the new ones in it; the old one stays as it is."""
        size = len(self.catalogue)
        whole = np.zeros((size, *old.shape[1:]), old.dtype)
        whole[: len(old)] = old
        whole[self.rows] = values
        return whole

    def padded(self, old: NDArray[T], fill: float = 0) -> NDArray[T]:
        """An array over the items, with a value where items are new; those with other contents keep what they had."""
        whole = np.full((len(self.catalogue), *old.shape[1:]), fill, old.dtype)
        whole[: len(old)] = old
        return whole


@dataclass(frozen=True)
class Candidates:
    """Items proposed to many users: user ``u`` has the slice ``indptr[u]:indptr[u + 1]``, best first.

    Attributes:
        indptr: int64 (n_users + 1,).
        items: int32 (n,), item rows; distinct within a user.
        scores: float32 (n,), the source's own scale, descending within a user, ties by item row.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    scores: Scores

    def take(self, users: NDArray[np.integer]) -> "Candidates":
        """The lists of some users, in the given order."""
        indptr, index = slices_of(self.indptr, users)
        return Candidates(indptr, self.items[index], self.scores[index])


class Source(ABC):
    """One way to propose candidates.

    ``score`` is the reference; ``top`` and ``pairs`` give the same numbers for less work.

    Class flags:
        name: the source's name in configuration, tables and reasons.
        cold_items: whether items without any interaction can get a score that tells them apart.
        personal: whether the score depends on the history.
        learns: whether ``fit`` reads interactions; one that does not is fitted once for a catalogue.
    """

    name: ClassVar[str]
    cold_items: ClassVar[bool]
    personal: ClassVar[bool]
    learns: ClassVar[bool] = True

    @abstractmethod
    def fit(self, visible: Visible) -> Self:
        """Learn from what is visible; returns ``self``."""

    def refit(self, visible: Visible, before: Self) -> Self:
        """Learn from more of a log than another source of the same kind did; returns ``self``.

        Args:
            visible: the same catalogue, more of its log.
            before: fitted on less; what it learnt may be gone on from.
        """
        return self.fit(visible)

    @abstractmethod
    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Scores of every history for every item: float32 (n_users, n_items), higher is better.

        Args:
            histories: of the users to score; ``n_items`` is the catalogue's.
            items: the item rows wanted, in the order of the columns; ``None`` means all.
        """

    @abstractmethod
    def arrays(self) -> Arrays:
        """The fitted state as named arrays, fit for safetensors; no row of them is a user's (``docs/privacy.md``)."""

    @abstractmethod
    def restore(self, arrays: Arrays) -> Self:
        """Take the fitted state of ``arrays``; returns ``self``, which then scores as the saved one did."""

    def with_items(self, new: NewItems) -> Self:
        """The fitted source with more items, as far as it can tell of them without learning; this one is unchanged.

        Raises:
            ModelFolderError: it cannot.
        """
        raise ModelFolderError(f"The source {self.name!r} takes no new items without training. Train again.")

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The best ``n`` items of every history among ``items`` (``None``: all); fewer where fewer exist.

        Items that the source gives nothing to (score ≤ its floor, see the source) may be left out.
        """
        scores = self.score(histories, items)
        rows = np.arange(scores.shape[1]) if items is None else np.asarray(items)
        return top_of_dense(scores, rows, n)

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given user–item pairs: float32 (n,), user ``u`` having ``items[indptr[u]:indptr[u + 1]]``."""
        wanted, column = np.unique(items, return_inverse=True)
        scores = self.score(histories, wanted)
        users = np.repeat(np.arange(len(histories)), np.diff(indptr))
        return scores[users, column]


def with_rows(matrix: sparse.csr_matrix, rows: int, columns: int | None = None) -> sparse.csr_matrix:
    """A CSR matrix with empty rows (and columns) behind its own; it shares its memory."""
    more = np.full(rows - matrix.shape[0], matrix.indptr[-1], matrix.indptr.dtype)
    indptr = np.concatenate((matrix.indptr, more))
    shape = (rows, matrix.shape[1] if columns is None else columns)
    return sparse.csr_matrix((matrix.data, matrix.indices, indptr), shape=shape)


def top_of_dense(scores: Scores, rows: NDArray[np.integer], n: int) -> Candidates:
    """The best ``n`` columns of every row of a dense score matrix; ties go to the smaller item row.

    Args:
        scores: float32 (n_users, k); ``-inf`` marks what may not be proposed.
        rows: (k,), ascending item rows of the columns.
        n: how many at most.
    """
    columns = [best_columns(row, n) for row in scores]
    lengths = [len(best) for best in columns]
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    chosen = np.concatenate(columns) if columns else np.empty(0, np.intp)
    users = np.repeat(np.arange(len(scores)), lengths)
    return Candidates(indptr, np.asarray(rows)[chosen].astype(np.int32), scores[users, chosen])
