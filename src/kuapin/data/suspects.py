"""What in a log no person did: robots, bulk buyers, repeated clicks, and fake bursts on one item.

Nothing is deleted from the shop: what is suspicious teaches the models nothing, and is counted and told. A cut is never
below a floor that people do reach, and adapts to the log above it, so that a wholesaler's shop is not taken for robots.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kuapin.counts import counted
from kuapin.data.dataset import Dataset
from kuapin.data.histories import Histories
from kuapin.data.vocabulary import Vocabulary

HOUR, DAY = 3_600, 86_400
ONE_OFF = 2
"""Different items of a user at most who may have been made to praise one of them."""
NAMED = 100
"""Users, and items, of each kind that are named."""
TYPICAL, BEYOND = 0.99, 8.0
"""A cut is ``BEYOND`` times what all but one of a hundred users stay below."""


class SuspectsConfig(BaseModel):
    """What is taken for no person's doing; it teaches the models nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    look: bool = Field(default=True, description="Look for robots, bulk buyers, repeated clicks and fake bursts.")
    per_hour: int = Field(200, ge=1, description="Nobody with fewer interactions in every hour is a robot.")
    interactions: int = Field(500, ge=1, description="Nobody with fewer interactions in all is a bulk buyer.")
    repeats_a_day: int = Field(
        5, ge=1, description="So often an item counts that one user met again and again on one day."
    )
    chance: float = Field(
        1e-6, gt=0, lt=1, description="A burst of users who did hardly anything else is fake when it is less likely."
    )
    burst: int = Field(20, ge=2, description="Fewer such users on one item are no burst.")


@dataclass(frozen=True)
class Suspects:
    """What was found.

    Attributes:
        kept: bool (n,), interactions that may be learnt from.
        robots: int64, rows of users with more interactions in an hour than people have.
        bulk: int64, rows of users with more interactions in all.
        repeats: how many interactions repeat a click too often on one day.
        bursts: int64, item rows on which a fake burst lies.
        clickers: int64, rows of users with a repeated click.
        looked: whether anybody looked.
    """

    kept: NDArray[np.bool_]
    robots: NDArray[np.int64]
    bulk: NDArray[np.int64]
    repeats: int
    bursts: NDArray[np.int64]
    clickers: NDArray[np.int64]
    looked: bool = True

    def told(self) -> str:
        """In a sentence, with the number of each kind that was found."""
        hasty = "more interactions in an hour than people have"
        alone = "a burst of users who did nothing else"
        parts = [
            (len(self.robots), f"user with {hasty}", f"users with {hasty}"),
            (len(self.bulk), "bulk buyer", None),
            (self.repeats, "repeated click", None),
            (len(self.bursts), f"item with {alone}", f"items with {alone}"),
        ]
        found = [counted(*part) for part in parts if part[0]]
        if not self.looked:
            return "All of the log was learnt from: [live.suspects] look is false."
        if not found:
            return "All of the log was learnt from: no robot, bulk buyer, repeated click or fake burst was found."
        left = int((~self.kept).sum())
        return f"Not learnt from: {counted(left, 'interaction')} ({', '.join(found)})."

    def named(self, dataset: Dataset) -> dict[str, JsonValue]:
        """In a sentence, as numbers, and by the ids of the first ``NAMED`` users and items of each kind."""
        users, items = dataset.users, dataset.catalogue.items
        return {
            "told": self.told(),
            "interactions": int((~self.kept).sum()),
            "robots": {"count": len(self.robots), "users": _ids(users, self.robots)},
            "bulk_buyers": {"count": len(self.bulk), "users": _ids(users, self.bulk)},
            "repeated_clicks": {"count": self.repeats, "users": _ids(users, self.clickers)},
            "bursts": {"count": len(self.bursts), "items": _ids(items, self.bursts)},
        }

    def left_out(self, part: Dataset, whole: Dataset) -> Dataset:
        """A part of the log that was looked through, without what no person did.

        Args:
            part: in the catalogue of the whole.
            whole: the log that was looked through.
        """
        log, n = whole.histories, len(whole.catalogue)
        people = log.users[self.kept].astype(np.int64) * n + log.items[self.kept]
        whose = whole.users.rows(part.users.ids)[part.histories.users].astype(np.int64)
        kept = np.isin(whose * n + part.histories.items, people)
        return replace(part, histories=part.histories.keep(kept))


def _ids(vocabulary: Vocabulary, rows: NDArray[np.int64]) -> list[JsonValue]:
    return list(vocabulary.ids.gather(rows[:NAMED]))


def find_suspects(histories: Histories, config: SuspectsConfig) -> Suspects:
    """Look through a log.

    A burst is judged on each item and day (without times: on each item) by the number of its users who met at most
    ``ONE_OFF`` different items: binomial, with the share of such users among all interactions of the other items. What
    goes beyond the expected number is left out, those of the latest first.

    Args:
        histories: the whole log.
        config: where people end.
    """
    n = len(histories.items)
    kept = np.ones(n, np.bool_)
    none = np.empty(0, np.int64)
    if not config.look or n == 0:
        return Suspects(kept, none, none, 0, none, none, looked=config.look)
    users = histories.users.astype(np.int64)
    bulk = _beyond(histories.lengths.astype(np.float64), config.interactions)
    robots = none
    if histories.timed:
        robots = _beyond(_most_an_hour(histories, users), config.per_hour)
    kept &= ~np.isin(users, np.union1d(robots, bulk))
    repeated = _repeated(histories, users, config.repeats_a_day) & kept
    kept &= ~repeated
    fake, bursts = _bursts(histories, users, kept, config)
    clickers = np.unique(users[repeated])
    return Suspects(kept & ~fake, robots, np.setdiff1d(bulk, robots), int(repeated.sum()), bursts, clickers)


def _beyond(values: NDArray[np.float64], floor: int) -> NDArray[np.int64]:
    """Users above the floor and far above nearly all others."""
    some = values[values > 0]
    cut = max(float(floor), BEYOND * float(np.quantile(some, TYPICAL))) if len(some) else float(floor)
    return np.flatnonzero(values > cut).astype(np.int64)


def _most_an_hour(histories: Histories, users: NDArray[np.int64]) -> NDArray[np.float64]:
    """The most interactions that every user had within an hour, float64 (n_users,)."""
    times = histories.times
    # The first interaction of the same user within the hour before: one search over (user, time) as a single key.
    first = np.searchsorted(_key(users, times, times), _key(users, times - HOUR, times), side="right")
    first = np.maximum(first, histories.indptr[users])
    most = np.zeros(len(histories))
    np.maximum.at(most, users, (np.arange(len(times)) - first + 1).astype(np.float64))
    return most


def _key(users: NDArray[np.int64], times: NDArray[np.int64], all_times: NDArray[np.int64]) -> NDArray[np.int64]:
    low = int(all_times.min()) - HOUR
    return users * (int(all_times.max()) - low + 1) + (times - low)


def _repeated(histories: Histories, users: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Interactions of a user with an item beyond the first ``most`` of a day; without times there are none."""
    if not histories.timed:
        return np.zeros(len(histories.items), np.bool_)
    day = histories.times // DAY
    order = np.lexsort((np.arange(len(day)), day, histories.items, users))
    same = np.zeros(len(order), np.bool_)
    for values in (users, histories.items, day):
        same[1:] |= np.diff(values[order]) != 0
    start = np.maximum.accumulate(np.where(same | (np.arange(len(order)) == 0), np.arange(len(order)), 0))
    repeated = np.zeros(len(order), np.bool_)
    repeated[order] = np.arange(len(order)) - start >= most
    return repeated


def _bursts(
    histories: Histories, users: NDArray[np.int64], kept: NDArray[np.bool_], config: SuspectsConfig
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Interactions of fake bursts, bool (n,), and the items that they lie on."""
    from scipy.stats import binom  # half a second that a service need not wait for

    pairs = np.unique(users[kept] * histories.n_items + histories.items[kept])
    distinct = np.bincount(pairs // histories.n_items, minlength=len(histories))
    one_off = kept & (distinct[users] <= ONE_OFF)
    day = histories.times // DAY if histories.timed else np.zeros(len(users), np.int64)
    days = int(day.max(initial=0)) + 1
    cell = histories.items.astype(np.int64) * days + day
    cells, place = np.unique(cell, return_inverse=True)
    of_cell = np.bincount(place[kept], minlength=len(cells))
    suspicious = np.bincount(place[one_off], minlength=len(cells))
    # One burst is not to hide another: the usual share is that of the items with the fewest such users.
    share = suspicious / np.maximum(of_cell, 1)
    usual = np.average(np.minimum(share, np.median(share[of_cell > 0]) + 0.05), weights=of_cell) if of_cell.any() else 0
    unlikely = binom.sf(suspicious - 1, of_cell, min(float(usual) + 0.01, 1.0)) < config.chance
    bursting = np.flatnonzero(unlikely & (suspicious >= config.burst))
    fake = np.zeros(len(users), np.bool_)
    for number in bursting:
        rows = np.flatnonzero(one_off & (place == number))
        expected = round(float(usual) * int(of_cell[number]))
        fake[rows[np.argsort(histories.times[rows], kind="stable")][expected:]] = True
    return fake, np.unique(cells[bursting] // days)
