"""Gradient-boosted trees over all features (LambdaMART, Burges 2010) by LightGBM."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.ranking.lists import Lists
from kuapin.retrieval.parallel import cores
from kuapin.retrieval.source import Scores

if TYPE_CHECKING:
    import lightgbm

RIGHT_ROWS_PER_LEAF = 20
ROWS_PER_THREAD = 100_000
"""With fewer rows a thread, threads wait for each other longer than they work (seen: 15 times the time)."""


class TreesConfig(BaseModel):
    """How much the trees may learn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = Field(100, ge=1, description="Trees.")
    leaves: int = Field(5, ge=2, description="Leaves per tree at most; fewer where there is little to learn from.")
    learning_rate: float = Field(0.05, gt=0, le=1, description="Share of every tree that is taken.")
    feature_share: float = Field(0.7, gt=0, le=1, description="Share of the features that a tree may look at.")
    wrong_per_list: int = Field(
        100, ge=10, description="Wrong candidates of a list that are learnt from; drawn evenly from more."
    )
    regularisation: float = Field(10.0, ge=0, description="L2 on leaf values.")


class Trees:
    """A fitted forest; its scores order the candidates of one list and mean nothing between lists."""

    def __init__(self, booster: "lightgbm.Booster") -> None:
        self._booster = booster

    def score(self, features: Scores, linear: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (n,) from features float32 (n, f) and the sum's scores (n,)."""
        if len(features) == 0:
            return np.empty(0)
        threads = int(np.clip(len(features) // ROWS_PER_THREAD, 1, cores()))
        return np.asarray(
            self._booster.predict(_table(features, linear), raw_score=True, num_threads=threads), np.float64
        )

    def text(self) -> str:
        """The forest in LightGBM's own text format."""
        return str(self._booster.model_to_string())

    @classmethod
    def from_text(cls, text: str) -> "Trees":
        """Read what ``text`` gave; only numbers are read, no code."""
        import lightgbm  # takes most of a second, and scikit-learn where that is installed

        return cls(lightgbm.Booster(model_str=text))


def fit_trees(lists: Lists, linear: NDArray[np.float64], config: TreesConfig, seed: int) -> Trees:
    """Learn to order the candidates of every list.

    The lists are what will be ranked later; of their wrong candidates an even draw is learnt from, whatever their
    popularity, so that nothing is taught about popularity but what the lists hold.

    Args:
        lists: useful ones only (``Lists.useful``).
        linear: float64 (n,), the sum's score of every candidate, one more feature.
        config: capacity.
        seed: of the draws of features and wrong candidates.
    """
    import lightgbm

    rows, lengths = _thinned(lists, config.wrong_per_list, seed)
    right = int(lists.relevant.sum())
    parameters: dict[str, Any] = {
        "objective": "lambdarank",
        "lambdarank_truncation_level": 15,
        "num_leaves": max(3, min(config.leaves, right // RIGHT_ROWS_PER_LEAF)),
        "learning_rate": config.learning_rate,
        "feature_fraction": config.feature_share,
        "lambda_l2": config.regularisation,
        "min_data_in_leaf": 100,
        "max_bin": 63,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "num_threads": int(np.clip(len(lists.items) // ROWS_PER_THREAD, 1, cores())),
        "verbose": -1,
    }
    data = lightgbm.Dataset(
        _table(lists.features[rows], linear[rows]),
        lists.relevant[rows].astype(np.int32),
        weight=lists.weight[lists.users[rows]],
        group=lengths,
    )
    return Trees(lightgbm.train(parameters, data, config.rounds))


def _thinned(lists: Lists, wrong_per_list: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Rows of all right and of at most so many wrong candidates of every list, in order; and how many of each list."""
    lot = np.random.default_rng(seed).random(len(lists.items))
    lot[lists.relevant] = -1.0
    order = np.lexsort((lot, lists.users))
    right = np.bincount(lists.users, weights=lists.relevant, minlength=len(lists)).astype(np.int64)
    place = np.arange(len(order)) - np.repeat(lists.indptr[:-1], lists.lengths)
    rows = np.sort(order[place < np.repeat(right + wrong_per_list, lists.lengths)])
    return rows, np.bincount(lists.users[rows], minlength=len(lists)).astype(np.int64)


def _table(features: Scores, linear: NDArray[np.float64]) -> Scores:
    return np.column_stack([features, linear.astype(np.float32)])
