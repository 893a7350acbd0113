"""Gradient-boosted trees over all features (LambdaMART, Burges 2010) by LightGBM."""

from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.ranking.lists import Lists
from kuapin.retrieval.source import Scores

RIGHT_ROWS_PER_LEAF = 20


class TreesConfig(BaseModel):
    """How much the trees may learn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = Field(100, ge=1, description="Trees.")
    leaves: int = Field(7, ge=2, description="Leaves per tree at most; fewer where there is little to learn from.")
    learning_rate: float = Field(0.05, gt=0, le=1, description="Share of every tree that is taken.")
    feature_share: float = Field(0.7, gt=0, le=1, description="Share of the features that a tree may look at.")
    regularisation: float = Field(10.0, ge=0, description="L2 on leaf values.")


class Trees:
    """A fitted forest; its scores order the candidates of one list and mean nothing between lists."""

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster = booster

    def score(self, features: Scores, linear: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (n,) from features float32 (n, f) and the sum's scores (n,)."""
        if len(features) == 0:
            return np.empty(0)
        return np.asarray(self._booster.predict(_table(features, linear), raw_score=True), np.float64)

    def text(self) -> str:
        """The forest in LightGBM's own text format."""
        return str(self._booster.model_to_string())

    @classmethod
    def from_text(cls, text: str) -> "Trees":
        """Read what ``text`` gave; only numbers are read, no code."""
        return cls(lightgbm.Booster(model_str=text))


def fit_trees(lists: Lists, linear: NDArray[np.float64], config: TreesConfig, seed: int) -> Trees:
    """Learn to order the candidates of every list.

    The lists are what will be ranked later, all candidates included: no negatives are drawn, so that nothing is taught
    about popularity but what the lists hold.

    Args:
        lists: useful ones only (``Lists.useful``).
        linear: float64 (n,), the sum's score of every candidate, one more feature.
        config: capacity.
        seed: of the feature draws.
    """
    right = int(lists.relevant.sum())
    parameters: dict[str, Any] = {
        "objective": "lambdarank",
        "lambdarank_truncation_level": 15,
        "num_leaves": max(3, min(config.leaves, right // RIGHT_ROWS_PER_LEAF)),
        "learning_rate": config.learning_rate,
        "feature_fraction": config.feature_share,
        "lambda_l2": config.regularisation,
        "min_data_in_leaf": 100,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbose": -1,
    }
    data = lightgbm.Dataset(
        _table(lists.features, linear),
        lists.relevant.astype(np.int32),
        weight=lists.weight[lists.users],
        group=lists.lengths,
    )
    return Trees(lightgbm.train(parameters, data, config.rounds))


def _table(features: Scores, linear: NDArray[np.float64]) -> Scores:
    return np.column_stack([features, linear.astype(np.float32)])
