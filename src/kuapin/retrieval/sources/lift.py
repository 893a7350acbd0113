"""Lift: items that lie in the same baskets more often than chance puts them there."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kuapin.retrieval.source import Scores, Visible
from kuapin.retrieval.sources.item_knn import ItemKnn, ItemKnnConfig, row_limit, weighed_pairs


class LiftConfig(ItemKnnConfig):
    """How the lift of rare pairs is damped; what is kept as in ``item_knn``."""

    max_pairs: int = Field(8_000_000, ge=1, description="Lifts kept at most, 8 bytes each; longest rows are cut first.")
    shrinkage: float = Field(
        20.0, gt=0, description="Histories added to what was seen of a pair and to what chance lets expect."
    )


class Lift(ItemKnn):
    """Score = Σ over the history of max(0, log((n(i, j) + s) / (n(i) · n(j) / n + s))).

    n(i, j) histories hold both items, n(i) the one, n all: a shrunk pointwise mutual information (Church and Hanks
    1990), of pairs that are above chance. Fitted on baskets (``data/baskets.py``) it is the lift of a market basket
    analysis. Floor: 0.
    """

    name = "lift"

    def __init__(self, config: LiftConfig | None = None) -> None:
        super().__init__(config or LiftConfig())

    def fit(self, visible: Visible) -> Self:
        """Count which items share histories."""
        matrix = visible.histories.matrix()
        matrix = matrix[np.diff(matrix.indptr) > 0]
        count = np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float64)
        total, s = max(matrix.shape[0], 1), self.config.shrinkage

        def weigh(both: Scores, one: NDArray[np.integer], other: NDArray[np.integer]) -> Scores:
            lift = np.log((both + s) / (count[one] * count[other] / total + s))
            return np.asarray(np.maximum(lift, 0), np.float32)

        neighbours = row_limit(matrix, self.config.max_pairs)
        if self.config.neighbours is not None:
            neighbours = min(neighbours, self.config.neighbours)
        self.similarity = weighed_pairs(matrix, weigh, neighbours)
        return self
