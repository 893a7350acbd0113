"""Places of a list that try items whose worth is not sure: Thompson sampling, with the probability of every choice."""

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin import columns as c
from kuapin.data.histories import Histories
from kuapin.data.vocabulary import Vocabulary

DEPTH = 100
"""Candidates a user among which a list is put together where something moves them, at least."""
SPARE = 3
"""So many times its length at least."""
DRAWS = 200
"""Draws by which the probability of being the best is told."""
DAY = 86_400
LOGGED = (c.USER_ID, c.ITEM_ID, c.EVENT, c.RANKING_ID)
"""Columns of the log that the evidence is read from."""
Vector = NDArray[np.float64]


def reach(n: int) -> int:
    """Candidates among which a list of length ``n`` is put together."""
    return max(DEPTH, SPARE * n)


class ExplorationConfig(BaseModel):
    """Places that try items whose worth is not sure (Thompson sampling); of the list of products only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of the places that try: with 0.1 the 10th, 20th, …; with 0.2 the 5th, 10th, …; 0: none.",
    )
    candidates: int = Field(20, ge=2, le=100, description="Items among which one such place chooses, at most.")
    floor: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Share of a place's probability that is spread evenly over its candidates, so that what another "
        "model would have shown can be told from the log.",
    )
    prior: float = Field(20.0, gt=0, description="Impressions that the ranker's estimate of an item counts as.")
    event: Literal["click", "cart", "purchase"] = Field(
        "click", description="What counts as success of an impression; it names the same ranking."
    )
    seed: int = Field(0, ge=0, description="Of the draws.")


@dataclass(frozen=True)
class Evidence:
    """What is known of every item beside the ranker's estimate.

    Attributes:
        weight: float64 (n_items,), impressions that the estimate of the item is worth.
        lift: float64 (n_items,), how much better the item did than impressions do, shrunk towards 1.
    """

    weight: Vector
    lift: Vector


def followed(log: pl.DataFrame, event: str) -> pl.DataFrame:
    """The impressions of a log, one a row, with ``success``: whether the event followed that names the same ranking.

    Args:
        log: with the columns ``LOGGED``, those that exist; others are kept.
        event: that counts.
    """
    shown = log.filter(pl.col(c.EVENT) == "impression") if c.RANKING_ID in log.columns else log.clear()
    if shown.height == 0:
        return shown.with_columns(pl.lit(False).alias("success"))  # noqa: FBT003
    key = [c.RANKING_ID, c.USER_ID, c.ITEM_ID]
    done = log.filter(pl.col(c.EVENT) == event).select(key).drop_nulls().unique()
    return shown.join(
        done.with_columns(pl.lit(True).alias("success")),  # noqa: FBT003
        on=key,
        how="left",
        maintain_order="left",
    ).with_columns(pl.col("success").fill_null(value=False))


def seen_of(log: pl.DataFrame, event: str) -> pl.DataFrame:
    """What became of the impressions of every item of a log: item_id, shown and good (how often the event followed)."""
    return (
        followed(log, event)
        .group_by(c.ITEM_ID, maintain_order=True)
        .agg(pl.len().alias("shown"), pl.col("success").sum().alias("good"))
    )


def evidence_of(
    seen: pl.DataFrame, items: Vocabulary, met: NDArray[np.floating], config: ExplorationConfig
) -> Evidence:
    """What is known of the items of a catalogue.

    Args:
        seen: as ``seen_of`` gives it.
        items: item_id ↔ row.
        met: (n_items,), people who met each: the ranker is the surer of an item the more did.
        config: how.
    """
    rows = items.rows(seen[c.ITEM_ID])
    known, n = rows >= 0, len(met)
    often, good = np.zeros(n), np.zeros(n)
    often[rows[known]], good[rows[known]] = (seen[name].to_numpy()[known] for name in ("shown", "good"))
    usual = good.sum() / often.sum() if good.sum() else 1.0
    lift = (good + config.prior * usual) / ((often + config.prior) * usual) if good.sum() else np.ones(n)
    return Evidence(config.prior + np.asarray(met, np.float64) + often, lift)


@dataclass(frozen=True)
class Exploration:
    """Tries items in some places of lists.

    A place that tries chooses among the item that stands there and some that its page leaves out, alike in all that
    the list's caps, floors and quotas count. Candidates are dealt to the places of a page in turn, so that no choice
    changes what another of them may show, and the probability of each is its own, given the pages before.

    Attributes:
        config: how much.
        evidence: of every item.
        seen: what it was read from, as ``seen_of`` gives it.
    """

    config: ExplorationConfig
    evidence: Evidence
    seen: pl.DataFrame | None = None

    def places(self, n: int) -> NDArray[np.intp]:
        """Those of the first ``n`` places (from 0) that try; which they are does not depend on ``n``."""
        steps = np.floor(self.config.share * np.arange(n + 1) + 1e-9)
        return np.flatnonzero(np.diff(steps) > 0)

    def chances(self, probability: Vector, items: NDArray[np.integer], rng: np.random.Generator) -> Vector:
        """The probability with which each candidate is chosen, float64 (k,): how often it is the best of the draws.

        The worth of an item is Beta distributed around the ranker's probability times the item's lift, the narrower
        the more is known of it (Thompson 1933; Chapelle and Li 2011).

        Args:
            probability: float64 (k,), the ranker's.
            items: (k,), rows of the items.
            rng: of the draws.
        """
        weight = self.evidence.weight[items]
        mean = np.clip(probability * self.evidence.lift[items], 1e-6, 1 - 1e-6)
        worth = rng.beta(weight * mean, weight * (1 - mean), size=(DRAWS, len(items)))
        often = np.bincount(np.argmax(worth, axis=1), minlength=len(items)) / DRAWS
        return np.asarray((1 - self.config.floor) * often + self.config.floor / len(items), np.float64)

    def choose(
        self,
        chosen: NDArray[np.intp],
        free: NDArray[np.bool_],
        items: NDArray[np.integer],
        probability: Vector,
        alike: NDArray[np.integer],
        fixed: NDArray[np.bool_],
        rank: NDArray[np.integer],
        rng: np.random.Generator,
        page: int | None = None,
    ) -> tuple[NDArray[np.intp], Vector]:
        """One user's list with some places tried.

        Args:
            chosen: int (n,), the candidate at every place; -1 behind the end.
            free: bool (depth,), candidates that no place has.
            items: (depth,), their rows, best first.
            probability: float64 (depth,), the ranker's.
            alike: int (depth, m), groups that the list counts; what is exchanged has the same.
            fixed: bool (n,), places that must stay.
            rank: int (depth,), the candidates' places in the ranker's list, of which a longer list has more.
            rng: of the draws.
            page: places that are seen together; a later page shows what an earlier one put off. ``None``: all.

        Returns:
            The list, and of every place the probability with which it came to hold what it holds, float64 (n,).
        """
        chosen, free, propensity = chosen.copy(), free.copy(), np.ones(len(chosen))
        every, page = self.places(len(chosen)), page or max(len(chosen), 1)
        for first in range(0, len(chosen), page):
            places, behind = every[(every >= first) & (every < first + page)], slice(first + page, None)
            later = chosen[behind][(chosen[behind] >= 0) & ~fixed[behind]]
            others = np.union1d(np.flatnonzero(free), later)
            others = others[rank[others] < reach(first + page)]
            for number, place in enumerate(places.tolist()):
                own = chosen[place]
                if own < 0 or fixed[place]:
                    continue
                dealt = others[number :: len(places)]
                dealt = dealt[(alike[dealt] == alike[own]).all(axis=1)][: self.config.candidates - 1]
                among = np.append(own, dealt)
                chance = self.chances(probability[among], items[among], rng)
                pick = int(rng.choice(len(among), p=chance))
                free[own], free[among[pick]] = free[among[pick]], False
                chosen[chosen == among[pick]] = own
                chosen[place], propensity[place] = among[pick], chance[pick]
        return chosen, propensity

    def rng(self, history: Histories, user: int, who: int, now: datetime) -> np.random.Generator:
        """Of one user's draws: the same for a day, as long as the history is. Nobody known gets new ones every time."""
        own = history.of(user)
        if who == -1 and len(own) == 0:
            return np.random.default_rng()
        day = int(now.timestamp()) // DAY
        return np.random.default_rng([self.config.seed, max(day, 0), (who + 1) % 2**63, zlib.crc32(own.tobytes())])
