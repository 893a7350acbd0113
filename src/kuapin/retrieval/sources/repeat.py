"""The user's own items: how often, how lately, and whether it is time again."""

from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.data.distinct import Distinct
from kuapin.data.histories import Histories
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.selection import Best, allowed, top_by_user
from kuapin.retrieval.source import Arrays, Candidates, NewItems, Scores, Source, Visible

DAY = 86_400


class RepeatConfig(BaseModel):
    """Nothing to set: the history says it all."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FadingConfig(BaseModel):
    """How long an interaction counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    half_life_days: float = Field(30.0, gt=0, description="Days after which an interaction counts half.")


class OwnItems(Source):
    """Scores that the user's own items alone have. Floor: 0, items that the user never met."""

    cold_items = False
    personal = True
    learns = False

    @abstractmethod
    def values(self, histories: Histories, met: Distinct) -> NDArray[np.floating]:
        """The scores of what is ``met``, the distinct items of the histories, (k,), in their order; 0: none."""

    def fit(self, visible: Visible) -> Self:
        """Nothing is learned: whatever counts is in the history at hand."""
        return self

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Scores of every item, float32 (n_users, n_items); see the class."""
        met, scores = histories.distinct(), np.zeros((len(histories), histories.n_items), np.float32)
        scores[met.users, met.items] = self.values(histories, met)
        return scores if items is None else scores[:, items]

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The user's best items; those never met are left out."""
        met = histories.distinct()
        values = self.values(histories, met).astype(np.float32)
        if items is not None:
            values *= allowed(items, histories.n_items)[met.items]
        ends = met.indptr.tolist()

        def best(user: int) -> Best:
            part = slice(ends[user], ends[user + 1])
            columns = best_columns(values[part], n, floor=0.0)
            return met.items[part][columns], values[part][columns]

        return top_by_user(best, len(histories))

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        met = histories.distinct()
        values = np.append(self.values(histories, met), 0.0).astype(np.float32)  # behind them what was not found, at -1
        return np.asarray(values[met.find(indptr, items)], np.float32)

    def with_items(self, new: NewItems) -> Self:
        """Whatever is in a history counts, items that are new among it."""
        return self

    def arrays(self) -> Arrays:
        """Nothing."""
        return {}

    def restore(self, arrays: Arrays) -> Self:
        """Nothing to take."""
        return self


class Repeat(OwnItems):
    """Score: how often the user met the item, plus half the place of its last interaction in the history.

    The place runs from 0 (oldest) to 1 (newest), so that it decides among items met equally often and no others.
    The strongest simple baseline where people buy again.
    """

    name = "repeat"

    def __init__(self, config: RepeatConfig | None = None) -> None:
        self.config = config or RepeatConfig()

    def values(self, histories: Histories, met: Distinct) -> NDArray[np.floating]:
        """Frequency and recency of every item met."""
        recency = (met.last - histories.indptr[met.users] + 1) / histories.lengths[met.users]
        return met.counts + recency / 2


class _Dated(OwnItems):
    """Reads ages, counted back from the present.

    That is the time that the source was fitted for, or the user's own last interaction where that is later: what a user
    does after the training counts at once, and nobody's present depends on who else is asked. A user who does nothing
    grows no older until the next training.
    """

    learns = True

    def fit(self, visible: Visible) -> Self:
        """Take the time at which recommendations will be made."""
        self.now = visible.now
        return self

    def arrays(self) -> Arrays:
        """`now`: int64 (1,), unix seconds."""
        return {"now": np.array([self.now], np.int64)}

    def restore(self, arrays: Arrays) -> Self:
        """Take `now`."""
        self.now = int(arrays["now"][0])
        return self

    def _present(self, histories: Histories) -> NDArray[np.int64]:
        """Of every user, int64 (n_users,)."""
        present = np.full(len(histories), self.now, np.int64)
        met = np.flatnonzero(histories.lengths)
        present[met] = np.maximum(self.now, histories.times[histories.indptr[met + 1] - 1])
        return present


class FadingRepeat(_Dated):
    """Score: how often the user met the item, every interaction counting 2^(-age / half-life)."""

    name = "repeat_fading"

    def __init__(self, config: FadingConfig | None = None) -> None:
        self.config = config or FadingConfig()

    def values(self, histories: Histories, met: Distinct) -> NDArray[np.floating]:
        """Faded counts of every item met; never below 1e-30, so that nothing met is forgotten."""
        age = (self._present(histories)[histories.users] - histories.times) / DAY
        weight = np.maximum(np.exp2(-age / self.config.half_life_days), 1e-30)[met.order]
        return np.add.reduceat(weight, met.starts) if len(met.starts) else weight


class LatestRepeat(FadingRepeat):
    """The same over days instead of weeks: what was met on the latest occasions."""

    name = "repeat_latest"

    def __init__(self, config: FadingConfig | None = None) -> None:
        super().__init__(config or FadingConfig(half_life_days=7.0))


class Due(_Dated):
    """Score: days since the user last met the item over the days that usually lie between, at most ``MOST``.

    The usual gap is (last - first) / (days met - 1), half a day at least. 1 means that it
    is time again; items met on one day only score 0 like those never met: nothing is known of their rhythm.
    """

    name = "due"
    MOST = 20.0

    def values(self, histories: Histories, met: Distinct) -> NDArray[np.floating]:
        """Share of the usual gap that has passed, of every item met on two days or more; of others 0."""
        if len(met.starts) == 0:
            return np.zeros(0)
        times = histories.times[met.order]  # histories are in the order of time, and stay so within a pair
        later = np.diff(times // DAY, prepend=0) > 0
        later[met.starts] = False
        gaps = np.add.reduceat(later, met.starts, dtype=np.int64)
        last = histories.times[met.last]
        usual = (last - times[met.starts]) / DAY / np.maximum(gaps, 1)
        age = (self._present(histories)[met.users] - last) / DAY
        due = np.clip(age / np.maximum(usual, 0.5), 1e-3, self.MOST)
        return np.asarray(np.where(gaps > 0, due, 0.0), np.float64)
