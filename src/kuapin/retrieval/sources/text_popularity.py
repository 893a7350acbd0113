"""Popularity that an item's text lets expect: how often the items that read like it were met."""

from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kuapin.errors import InputError
from kuapin.retrieval.parallel import in_threads
from kuapin.retrieval.same_for_all import SameForAll
from kuapin.retrieval.source import NewItems, Scores, Visible
from kuapin.retrieval.sources.content import distinct_rows


class TextPopularityConfig(BaseModel):
    """Which items lend their popularity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    neighbours: int = Field(20, ge=1, description="Texts of the same category that an item's popularity is read from.")
    temperature: float = Field(0.1, gt=0, le=10, description="Of their weights exp(cosine / temperature).")
    max_texts: int = Field(4096, ge=1, description="Texts per category that lend popularity; the most popular first.")


class TextPopularity(SameForAll):
    """Score = log(1 + m / mean of m), m the kernel-weighted mean of the users of the most similar texts.

    The neighbours are looked for within the item's own top-level category: 0 as a whole where that has just opened
    (what is popular elsewhere misled: docs/experiments.md). Where a category opens, only its own items get scores. With
    whitened vectors; an item is a neighbour of itself. Floor: 0, nothing similar was met.
    """

    name = "text_popularity"
    cold_items = True

    def __init__(self, config: TextPopularityConfig | None = None) -> None:
        self.config = config or TextPopularityConfig()

    def fit(self, visible: Visible) -> Self:
        """Spread the popularity of every text over the texts like it.

        Raises:
            InputError: there are no vectors.
        """
        vectors = visible.whitened()
        if vectors is None:
            raise InputError("The source 'text_popularity' needs text vectors, and none came. Encode the items.")
        _, text_of = distinct_rows(vectors)
        users = np.asarray(visible.histories.matrix().sum(axis=0), np.float32).ravel()
        category = visible.catalogue.category
        scores = np.zeros(len(users), np.float32)
        for code in np.unique(category if visible.opening is None else category[visible.opening]):
            own = category == code
            if not users[own].any():
                continue
            rows = np.flatnonzero(own)
            _, first, place = np.unique(text_of[rows], return_index=True, return_inverse=True)
            met = np.bincount(place, weights=users[rows]) / np.bincount(place)
            smooth = self._smoothed(vectors[rows[first]], met.astype(np.float32))
            scores[rows] = np.log1p(smooth / max(float(smooth.mean()), 1e-9))[place]
        self.scores = scores
        return self

    def with_items(self, new: NewItems) -> Self:
        """New items have the mean score of the items of their category that read like them."""
        other = super().with_items(new)
        known = new.alike >= 0
        near = np.where(known, self.scores[np.maximum(new.alike, 0)], 0.0).sum(axis=1) / np.maximum(
            known.sum(axis=1), 1
        )
        fresh = new.rows >= len(self.scores)
        other.scores[new.rows[fresh]] = near[fresh]
        return other

    def _smoothed(self, vectors: Scores, met: Scores) -> Scores:
        """Kernel-weighted mean of ``met`` over the lenders nearest to every text, float32 (n_texts,)."""
        lenders = np.argsort(-met, kind="stable")[: self.config.max_texts]
        k = min(self.config.neighbours, len(lenders))
        lent, block = vectors[lenders].T, 256
        smooth = np.empty(len(vectors), np.float32)

        def spread(first: int) -> None:
            cosine = vectors[first : first + block] @ lent
            nearest = np.argpartition(cosine, len(lenders) - k, axis=1)[:, len(lenders) - k :]
            weight = np.exp((np.take_along_axis(cosine, nearest, axis=1) - 1) / self.config.temperature)
            smooth[first : first + block] = (weight * met[lenders[nearest]]).sum(axis=1) / weight.sum(axis=1)

        in_threads(spread, list(range(0, len(vectors), block)))
        return smooth
