"""How many people wanted an item: ever, lately, or with fading memory."""

from typing import ClassVar, Literal, Self
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.data.histories import Histories
from kuapin.retrieval.mixing import mixed
from kuapin.retrieval.same_for_all import SameForAll
from kuapin.retrieval.source import Scores, Visible

DAY = 86_400
TIE_SHARE = 1 / 64
"""The tie-break adds less than this share of the step to the next larger score."""


class PopularityConfig(BaseModel):
    """How far back popularity looks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_days: float = Field(30.0, gt=0, description="How many days count as lately.")
    half_life_days: float = Field(
        30.0, gt=0, description="Days after which a user counts half, where popularity fades with time."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the order among equally popular items.")


class Popularity(SameForAll):
    """Score: the number of distinct users who met the item; in the mode `decayed` each counts 2^(-age / half-life).

    The age is that of the user's last interaction with the item. Where the log is order-free (``histories.timed``
    false) ages mean nothing, and every mode counts all time. Equally popular items are told apart by a hash of their
    id and the seed, so that neither the order of the table nor that of the ids shows; the difference stays below 1/64
    of the step to the next score (and of 1). Floor: 0, items that nobody met.
    """

    name = "popularity"
    cold_items = False
    mode: ClassVar[Literal["all", "window", "decayed"]] = "all"

    def __init__(self, config: PopularityConfig | None = None) -> None:
        self.config = config or PopularityConfig()

    def fit(self, visible: Visible) -> Self:
        """Count the users of every item."""
        value = self._users(visible.histories, visible.now)
        self.scores = _with_ties_broken(value, visible.catalogue.items.ids, self.config.seed)
        return self

    def _users(self, histories: Histories, now: int) -> NDArray[np.float64]:
        age = (now - histories.times) / DAY
        if histories.timed and self.mode == "window":
            inside = age <= self.config.window_days
            histories, age = histories.keep(inside), age[inside]
        last = histories.distinct().last
        weight = np.ones(len(last))
        if histories.timed and self.mode == "decayed":
            weight = np.exp2(-np.maximum(age[last], 0.0) / self.config.half_life_days)
        value = np.zeros(histories.n_items)
        np.add.at(value, histories.items[last], weight)
        return value


class RecentPopularity(Popularity):
    """Popularity of the last days (mode `window`)."""

    name = "popularity_30d"
    mode = "window"


class DecayedPopularity(Popularity):
    """Popularity with exponential decay (mode `decayed`)."""

    name = "popularity_decayed"
    mode = "decayed"


def _with_ties_broken(value: NDArray[np.float64], ids: pl.Series, seed: int) -> Scores:
    distinct, group = np.unique(value, return_inverse=True)
    step = np.minimum(np.diff(distinct, append=np.inf), 1.0)
    broken = value + TIE_SHARE * step[group] * item_hash(ids, seed)
    return np.where(value > 0, broken, 0.0).astype(np.float32)


def item_hash(ids: pl.Series, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) per item id, float64 (n,): the same on every machine, without any order."""
    # Mixed, for crc32 is linear: similar ids would give similar numbers.
    sums = np.fromiter((crc32(str(item).encode(), seed) for item in ids), np.uint64, len(ids))
    return (mixed(sums) >> np.uint64(11)).astype(np.float64) / 2**53
