"""What a training leaves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.sequence.item_representation import Weights
from kuapin.sequence.settings import SequenceConfig


@dataclass(frozen=True)
class Trained:
    """A trained user model.

    Attributes:
        config: how.
        weights: see ``model.initial_weights``; those of the best pass.
        interactions: int64 (n_items,), of every item in training; row of the item = row of its own vector.
        ndcg: NDCG@10 on the validation after every pass; NaN where nobody could be asked.
        seconds: of training.
        adapted: whether the transformer stayed as it was in another shop.
    """

    config: SequenceConfig
    weights: Weights
    interactions: NDArray[np.int64]
    ndcg: tuple[float, ...]
    seconds: float
    adapted: bool = False

    @property
    def passes(self) -> int:
        """Over the log until it was best; all of them where nobody could be asked."""
        return len(self.ndcg) if np.isnan(self.ndcg).all() else int(np.nanargmax(self.ndcg)) + 1
