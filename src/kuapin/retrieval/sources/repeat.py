"""The user's own items: how often, how lately, and whether it is time again."""

from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.distinct import Distinct, distinct_items
from kuapin.retrieval.selection import Best, allowed, pairs_of_sparse, top_by_user
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
    def matrix(self, histories: Histories) -> sparse.csr_matrix:
        """The scores > 0 as a new user × item float32 CSR matrix with sorted columns."""

    def fit(self, visible: Visible) -> Self:
        """Nothing is learned: whatever counts is in the history at hand."""
        return self

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Scores of every item, float32 (n_users, n_items); see the class."""
        matrix = self.matrix(histories)
        return np.asarray((matrix if items is None else matrix[:, items]).toarray(), np.float32)

    def top(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The user's best items; those never met are left out."""
        matrix = self.matrix(histories)
        if items is not None:
            matrix.data *= allowed(items, histories.n_items)[matrix.indices]
            matrix.eliminate_zeros()

        def best(user: int) -> Best:
            part = slice(matrix.indptr[user], matrix.indptr[user + 1])
            values = matrix.data[part]
            columns = best_columns(values, n, floor=0.0)
            return matrix.indices[part][columns], values[columns]

        return top_by_user(best, len(histories))

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        return pairs_of_sparse(self.matrix(histories), indptr, items)

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

    def matrix(self, histories: Histories) -> sparse.csr_matrix:
        """Frequency and recency of every item met."""
        met = distinct_items(histories)
        users = np.repeat(np.arange(len(histories)), np.diff(met.indptr))
        recency = (met.last - histories.indptr[users] + 1) / histories.lengths[users]
        return _sparse(met, met.counts + recency / 2, histories)


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

    def matrix(self, histories: Histories) -> sparse.csr_matrix:
        """Faded counts of every item met; never below the smallest float32, so that nothing met is forgotten."""
        age = (self._present(histories)[histories.users] - histories.times) / DAY
        weight = np.exp2(-age / self.config.half_life_days)
        faded = sparse.csr_matrix(
            (np.maximum(weight, 1e-30).astype(np.float32), histories.items.copy(), histories.indptr.copy()),
            shape=(len(histories), histories.n_items),
        )
        faded.sum_duplicates()
        return faded


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

    def matrix(self, histories: Histories) -> sparse.csr_matrix:
        """Share of the usual gap that has passed, of every item met on two days or more."""
        pair = histories.users.astype(np.int64) * histories.n_items + histories.items
        order = np.argsort(pair, kind="stable")  # histories are in the order of time, and stay so within a pair
        pair, times = pair[order], histories.times[order]
        starts = np.flatnonzero(np.diff(pair, prepend=-1))
        if len(starts) == 0:
            return sparse.csr_matrix((len(histories), histories.n_items), dtype=np.float32)
        later = np.diff(times // DAY, prepend=0) > 0
        later[starts] = False
        gaps = np.add.reduceat(later, starts, dtype=np.int64)
        last = times[np.append(starts[1:], len(times)) - 1]
        usual = (last - times[starts]) / DAY / np.maximum(gaps, 1)
        users, items = np.divmod(pair[starts], histories.n_items)
        age = (self._present(histories)[users] - last) / DAY
        due = np.clip(age / np.maximum(usual, 0.5), 1e-3, self.MOST)
        users, items = users[gaps > 0], items[gaps > 0]
        values = due[gaps > 0].astype(np.float32)
        return sparse.csr_matrix((values, (users, items)), shape=(len(histories), histories.n_items))


def _sparse(met: Distinct, values: NDArray[np.floating], histories: Histories) -> sparse.csr_matrix:
    shape = (len(histories), histories.n_items)
    return sparse.csr_matrix((values.astype(np.float32), met.items, met.indptr), shape=shape)
