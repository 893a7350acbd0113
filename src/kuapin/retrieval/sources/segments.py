"""What people of like taste met: popularity within segments of users, found from the texts of their histories."""

import warnings
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.cluster.vq import kmeans2

from kuapin.data.histories import Histories
from kuapin.errors import InputError, ModelFolderError
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.selection import Best, pairs_by_user, top_by_user
from kuapin.retrieval.source import Arrays, Candidates, NewItems, Scores, Source, Visible


class SegmentsConfig(BaseModel):
    """How many segments, and how sure a segment must be of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segments: int = Field(64, ge=1, description="Segments at most.")
    users_per_segment: int = Field(
        20,
        ge=10,
        description="Fewer segments are made where they would be smaller; those below half of it are left out.",
    )
    temperature: float = Field(0.1, gt=0, le=10, description="Of a user's membership exp(cosine / temperature).")
    shrinkage: float = Field(5.0, gt=0, description="Users of the whole shop, in proportion, added to every segment.")
    max_users: int = Field(20_000, ge=1, description="Users that the segments are found from; a sample of more.")
    seed: int = Field(0, ge=0, description="Of the sample and of the first centres.")


class Segments(Source):
    """Score = log Σ_g p(g | user) · p(item | g) / p(item's category's mean item).

    A user's profile is the mean whitened text vector of his history; segments are its k-means clusters. p(item | g) is
    the share of the item among what the users of the segment met, shrunk to the shop's. Only segments of at least half
    ``users_per_segment`` people are kept: no centre is a single person's. It asks who reads alike, not who met the same
    items, and so works in a category that has seen a few hundred people. Floor: the score of an item that nobody met.
    """

    name = "segments"
    cold_items = False
    personal = True

    def __init__(self, config: SegmentsConfig | None = None) -> None:
        self.config = config or SegmentsConfig()

    def fit(self, visible: Visible) -> Self:
        """Cluster the users and count what each segment met.

        Raises:
            InputError: there are no vectors.
        """
        vectors = visible.whitened()
        if vectors is None:
            raise InputError("The source 'segments' needs text vectors, and none came. Encode the items.")
        matrix = visible.histories.matrix()
        matrix = matrix[np.diff(matrix.indptr) > 0]
        profiles = _profiles(matrix, vectors)
        centres = self._centres(profiles)
        member = self._membership(profiles, centres)
        met = np.asarray((matrix.T @ member).T, np.float32)  # (segments, n_items)
        return self.restore({"vectors": vectors, "centres": centres, "shares": self._shares(met, visible)})

    def _centres(self, profiles: Scores) -> Scores:
        """Centres of clusters with enough members that nobody is recognised; everyone's mean where there is none."""
        least = self.config.users_per_segment
        if len(profiles) < least:
            return np.zeros((1, profiles.shape[1]), np.float32)
        rng = np.random.default_rng(self.config.seed)
        if len(profiles) > self.config.max_users:
            profiles = profiles[rng.choice(len(profiles), self.config.max_users, replace=False)]
        count = min(self.config.segments, len(profiles) // least)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # empty clusters fall below the least size
            first, _ = kmeans2(profiles, count, minit="points", iter=10, seed=rng)
        nearest = np.argmax(profiles @ first.T - (first**2).sum(axis=1) / 2, axis=1)
        kept = np.flatnonzero(np.bincount(nearest, minlength=count) >= least // 2)
        centres = np.stack([profiles[nearest == one].mean(axis=0) for one in kept] or [profiles.mean(axis=0)])
        return np.asarray(centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9), np.float32)

    def _membership(self, profiles: Scores, centres: Scores) -> Scores:
        near = np.exp((profiles @ centres.T - 1) / self.config.temperature)
        return np.asarray(near / near.sum(axis=1, keepdims=True), np.float32)

    def _shares(self, met: Scores, visible: Visible) -> Scores:
        """p(item | segment) over that of the mean item of its category, float32 (segments, n_items)."""
        category = visible.catalogue.category
        everyone = met.sum(axis=0)
        items_in = np.bincount(category).astype(np.float32)
        mean = (np.bincount(category, weights=everyone, minlength=len(items_in)) / np.maximum(items_in, 1))[category]
        size = met.sum(axis=1, keepdims=True) / max(float(everyone.sum()), 1e-9)
        # A segment's expectation of an item is its size × everyone's; half a user of the mean item is added to both.
        expected = size * everyone
        pull = self.config.shrinkage * everyone / np.maximum(everyone, 1e-9)
        lift = (met + pull * size) / np.maximum(expected + pull * size, 1e-9)
        level = (everyone + 0.5) / (mean + 0.5)
        return np.where(everyone > 0, lift * level, 0.5 / (mean + 0.5)).astype(np.float32)

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Popularity among people of like taste, float32 (n_users, n_items)."""
        shares = self.shares if items is None else self.shares[:, items]
        return np.asarray(np.log(self._member(histories) @ shares), np.float32)

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The items most met by people of like taste."""
        rows = np.arange(self.shares.shape[1]) if items is None else np.asarray(items)
        shares, member = self.shares[:, rows], self._member(histories)

        def best(user: int) -> Best:
            scores = member[user] @ shares
            columns = best_columns(scores, n)
            return rows[columns], np.log(scores[columns])

        return top_by_user(best, len(histories))

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        member = self._member(histories)
        return pairs_by_user(lambda user, wanted: np.log(member[user] @ self.shares[:, wanted]), indptr, items)

    def with_items(self, new: NewItems) -> Self:
        """New items are those that nobody met."""
        if new.white is None:
            raise ModelFolderError("The release cannot read the texts of new items. Train again.")
        other, fresh = copy(self), new.rows >= len(self.vectors)
        other.vectors = new.into(self.vectors, new.white)
        shares = np.empty((len(self.shares), len(new.catalogue)), np.float32)
        shares[:, : self.shares.shape[1]] = self.shares
        shares[:, new.rows[fresh]] = (0.5 / (new.usual + 0.5))[fresh]
        other.shares = shares
        return other

    def _member(self, histories: Histories) -> Scores:
        return self._membership(_profiles(histories.matrix(), self.vectors), self.centres)

    def arrays(self) -> Arrays:
        """`vectors` float32 (n_items, d), `centres` float32 (segments, d), `shares` float32 (segments, n_items)."""
        return {"vectors": self.vectors, "centres": self.centres, "shares": self.shares}

    def restore(self, arrays: Arrays) -> Self:
        """Take `vectors`, `centres` and `shares`."""
        self.vectors = np.asarray(arrays["vectors"], np.float32)
        self.centres = np.asarray(arrays["centres"], np.float32)
        self.shares = np.asarray(arrays["shares"], np.float32)
        return self


def _profiles(matrix: object, vectors: Scores) -> Scores:
    """Mean vector of every history, unit length, float32 (n_users, d); 0 for users without one."""
    mean = np.asarray(matrix @ vectors, np.float32)  # type: ignore[operator]
    return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9), np.float32)
