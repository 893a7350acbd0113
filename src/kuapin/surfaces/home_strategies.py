"""How a home page is mixed for one person: surfaces and the discovery dial follow his responses, within bounds."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin import columns as c
from kuapin.data.histories import Histories
from kuapin.ranking.exploration import followed
from kuapin.ranking.linear_bandit import LinearBandit
from kuapin.surfaces.home import SHARES

STRATEGY = "strategy"
MARK = "."
"""Stands in a ranking_id behind the strategy's name."""
DAY = 86_400
TRUST = 20.0
"""Rows of a surface (or pages) after which a person's own responses count as much as everybody's."""
RIDGE, SPREAD = 10.0, 0.01
LOGGED = (c.USER_ID, c.ITEM_ID, c.EVENT, c.TIMESTAMP, c.RANKING_ID, c.SURFACE, c.PROPENSITY)
Vector = NDArray[np.float64]


class StrategiesConfig(BaseModel):
    """Home pages that follow each person's responses: which surfaces get more rows, and the discovery dial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=False, description="Whether home pages differ by person at all.")
    least: float = Field(0.5, ge=0, le=1, description="A surface keeps at least this much of its usual share.")
    most: float = Field(2.5, ge=1, le=5, description="A surface gets at most so many times its usual share.")
    same: float = Field(-0.25, ge=-1, le=0, description="The dial of products for those who like what they know.")
    discover: float = Field(0.25, ge=0, le=1, description="The dial of products for those who like what is new.")
    floor: float = Field(
        0.2, gt=0, le=1, description="Share of the pages whose strategy is drawn evenly, so that others can be told of."
    )
    event: Literal["click", "cart", "purchase"] = Field(
        "click", description="What counts as success of a row; it names the same ranking."
    )
    seed: int = Field(0, ge=0, description="Of the draws.")


@dataclass(frozen=True)
class Strategy:
    """One way to mix a page.

    Attributes:
        name: what a log calls it.
        shares: surface → share; they add up to 1.
        discovery: the dial of the products; 0: as the shop has it.
    """

    name: str
    shares: dict[str, float]
    discovery: float


def strategies(config: StrategiesConfig) -> tuple[Strategy, ...]:
    """All ways within the shop's bounds: as usual or more of one surface, each with the dial at three places."""
    dials = {"": 0.0, "-same": config.same, "-discover": config.discover}
    mixes = {"usual": dict(SHARES)} | {f"more-{name}": _more(name, config) for name in SHARES}
    return tuple(
        Strategy(mix + ending, shares, dial)
        for mix, shares in mixes.items()
        for ending, dial in dials.items()
        if dial or not ending
    )


def _more(surface: str, config: StrategiesConfig) -> dict[str, float]:
    """As much of one surface as the bounds of all of them allow."""
    others = 1 - SHARES[surface]
    own = min(config.most * SHARES[surface], 1 - config.least * others)
    return {name: own if name == surface else share * (1 - own) / others for name, share in SHARES.items()}


@dataclass(frozen=True)
class Pages:
    """Home pages that were shown, with what was known of their people before; arrays have one entry a page.

    Attributes:
        users: who saw it.
        strategy: int64, number in ``strategies``.
        propensity: float64, probability with which it was chosen.
        reward: float64, share of its rows that were a success.
        context: float64 (n, len(SHARES) + 1), see :func:`_context`.
        after: user_id → the same, of all pages together; ``None``: of somebody not met.
        nobody: float64 (len(SHARES) + 1,), of somebody not met.
    """

    users: pl.Series
    strategy: NDArray[np.int64]
    propensity: Vector
    reward: Vector
    context: NDArray[np.float64]
    after: dict[str, Vector]
    nobody: Vector


def read_pages(log: pl.DataFrame, known: Sequence[Strategy], event: str) -> Pages:
    """The pages of a log: impressions whose ``ranking_id`` begins with the name of a strategy and a dot.

    Args:
        log: interactions, with the columns ``LOGGED`` as far as the shop has them.
        known: the strategies; pages of others are passed over.
        event: what counts as success of a row.
    """
    number = {one.name: place for place, one in enumerate(known)}
    wanted = {c.RANKING_ID, c.SURFACE, c.PROPENSITY, c.TIMESTAMP}
    rows = followed(log, event) if wanted <= set(log.columns) else None
    if rows is not None:
        name = pl.col(c.RANKING_ID).str.split(MARK).list.first()
        rows = rows.filter(name.is_in(list(number)), pl.col(c.PROPENSITY).is_between(0, 1, closed="right"))
        rows = rows.with_columns(name.replace_strict(number, default=-1, return_dtype=pl.Int64).alias(STRATEGY))
    n = len(SHARES) + 1
    if rows is None or rows.height == 0:
        none = np.zeros(0)
        return Pages(
            pl.Series([], dtype=pl.String), none.astype(np.int64), none, none, np.zeros((0, n)), {}, np.zeros(n)
        )
    seen = [(pl.col(c.SURFACE) == name).sum().alias(f"seen {name}") for name in SHARES]
    good = [((pl.col(c.SURFACE) == name) & pl.col("success")).sum().alias(f"good {name}") for name in SHARES]
    pages = (
        rows.group_by(c.RANKING_ID, c.USER_ID, maintain_order=True)
        .agg(
            pl.col(STRATEGY, c.PROPENSITY).first(),
            pl.col(c.TIMESTAMP).min(),
            pl.col("success").mean().alias("reward"),
            *seen,
            *good,
        )
        .sort(c.USER_ID, c.TIMESTAMP, maintain_order=True)
    )
    dial = np.array([one.discovery for one in known])[pages[STRATEGY].to_numpy()]
    reward = pages["reward"].to_numpy()
    counts = np.column_stack(
        [
            pages.select(f"seen {name}" for name in SHARES).to_numpy(),
            pages.select(f"good {name}" for name in SHARES).to_numpy(),
            np.abs(dial),
            np.sign(dial) * (reward - reward.mean()),
            np.sign(dial) ** 2,
        ]
    ).astype(np.float64)
    usual = counts[:, len(SHARES) : 2 * len(SHARES)].sum(axis=0) / np.maximum(counts[:, : len(SHARES)].sum(axis=0), 1)
    first = np.searchsorted(pages[c.USER_ID].to_numpy(), pages[c.USER_ID].to_numpy())
    whole = np.cumsum(counts, axis=0)
    before = whole - counts - (whole - counts)[first]
    last = np.append(np.flatnonzero(first[1:] != first[:-1]), len(first) - 1)
    so_far = _context((before + counts)[last], usual)
    users = pages[c.USER_ID]
    after = dict(zip(users.gather(last).to_list(), so_far, strict=True))
    chance = pages[c.PROPENSITY].to_numpy()
    return Pages(users, pages[STRATEGY].to_numpy(), chance, reward, _context(before, usual), after, np.zeros(n))


def _context(counts: NDArray[np.float64], usual: Vector) -> NDArray[np.float64]:
    """What is known of people: per surface, how much more they respond than all do, shrunk; last, to a turned dial.

    Args:
        counts: float64 (n, 2 · len(SHARES) + 3): rows seen and successes by surface, and sums over pages of the dial's
            size, of signed rewards above the mean, and how often it was turned.
        usual: float64 (len(SHARES),), share of successes of all.
    """
    k = len(SHARES)
    seen, good = counts[:, :k], counts[:, k : 2 * k]
    own = (good + TRUST * usual) / (seen + TRUST) - usual
    return np.column_stack([own, counts[:, -2] / (counts[:, -1] + TRUST)])


def features(context: NDArray[np.float64], known: Sequence[Strategy]) -> NDArray[np.float64]:
    """Of every page and every strategy, float64 (n, strategies, f): shares, the dial, and both times the person.

    A page earns by surface what its rows earn, so that its reward is near linear in the shares.
    """
    shares = np.array([list(one.shares.values()) for one in known])  # (s, k)
    dial = np.array([one.discovery for one in known])
    own, turned = context[:, None, :-1], context[:, None, -1:]
    n, s, k = len(context), len(known), shares.shape[1]
    fixed = np.broadcast_to(np.column_stack([shares, dial, dial**2])[None], (n, s, k + 2))
    personal = np.concatenate([shares[None] * own, np.sign(dial)[None, :, None] * turned], axis=-1) * SCALE
    return np.concatenate([fixed, personal], axis=-1)


SCALE = 10.0
"""Responses differ by hundredths: brought to the size of shares, so that the ridge means the same for both."""


@dataclass(frozen=True)
class HomeStrategies:
    """Chooses a strategy a person.

    Attributes:
        config: the bounds.
        known: the strategies.
        pages: that were shown.
        bandit: learnt from them.
    """

    config: StrategiesConfig
    known: tuple[Strategy, ...]
    pages: Pages
    bandit: LinearBandit

    @classmethod
    def fit(cls, log: pl.DataFrame, config: StrategiesConfig) -> "HomeStrategies":
        """Learn from a log of pages, whichever policy showed them."""
        known = strategies(config)
        pages = read_pages(log, known, config.event)
        return cls(config, known, pages, learn(pages, known, np.ones(len(pages.reward), np.bool_)))

    def choose(
        self, users: pl.Series, day: int, histories: Histories | None = None
    ) -> tuple[NDArray[np.int64], Vector]:
        """The strategy of every user (its number) and the probability with which it is chosen; the same for a day.

        Who has no id is known by his history, as long as it stays; who has neither gets another one every time.

        Args:
            users: ids; null: of a visitor.
            day: since 1970.
            histories: of the users; ``None``: of visitors nothing is known.
        """
        context = np.array([self.pages.after.get(user, self.pages.nobody) for user in users.to_list()])
        chosen, chance = np.zeros(users.len(), np.int64), np.ones(users.len())
        if users.len() == 0:
            return chosen, chance
        for row, (user, of_user) in enumerate(zip(users.to_list(), features(context, self.known), strict=True)):
            own = histories.of(row).tobytes() if user is None and histories is not None else (user or "").encode()
            seed = [self.config.seed, max(day, 0), zlib.crc32(own)]
            rng = np.random.default_rng(seed if own else None)
            chances = self.bandit.chances(of_user, self.config.floor, rng)
            chosen[row] = rng.choice(len(self.known), p=chances)
            chance[row] = chances[chosen[row]]
        return chosen, chance


def learn(pages: Pages, known: Sequence[Strategy], rows: NDArray[np.bool_]) -> LinearBandit:
    """A bandit from some of the pages."""
    every = features(pages.context[rows], known)
    made = every[np.arange(len(every)), pages.strategy[rows]]
    return LinearBandit.fit(made, pages.reward[rows], RIDGE, SPREAD)
