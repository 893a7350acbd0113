"""The surface ``profile``: what the system knows of a user, every statement with its evidence and its confidence."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.phrases import PHRASES, Language, Phrases
from kuapin.retrieval.members import members
from kuapin.surfaces.answer import SCHEMA
from kuapin.surfaces.title_words import query_words, title_words

NAME = "profile"
CATEGORY, BRAND, PRICE, ATTRIBUTE, RHYTHM, DUE, TOLD = KINDS = (
    "category",
    "brand",
    "price",
    "attribute",
    "rhythm",
    "due",
    "told",
)
"""What a statement is about. Reason codes are the same."""
RESAMPLES = 100
LEAST = 3
"""Events that a statement rests on, at least."""
LIFT = 1.25
"""How much more of something there must be in a history than in the shop."""
LEVELS = ("low", "middle", "high")
EVENTS = 3
"""Events that a statement's evidence names, the latest."""
DAY = 86_400
TIME_AGAIN = 0.8
"""Share of the usual gap after which an item counts as due."""


class ProfileConfig(BaseModel):
    """What a profile may say beside what the history says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tells: tuple[str, ...] = Field(
        (), description="Columns of the users table that profiles repeat, where they group people; no other is told."
    )


@dataclass(frozen=True)
class Statement:
    """One thing that is known of a user.

    Attributes:
        kind: one of ``KINDS``.
        value: what is said, such as the name of a category; the same in every language.
        confidence: share of resampled histories in which it holds as well; 1 of what the users table tells.
        evidence: the counts that it rests on, and the latest of the events, with their times.
    """

    kind: str
    value: str
    confidence: float
    evidence: str


@dataclass(frozen=True)
class Profiles:
    """Reads profiles out of histories; nothing of a person is kept.

    A statement's confidence is the share of ``RESAMPLES`` bootstrap draws of the user's own interactions in which it
    would have been made too (Efron 1979): what rests on a few events falls apart, what is stable stays.

    Attributes:
        catalogue: the items.
        histories: of all users, for what is usual.
        now: unix seconds.
    """

    catalogue: Catalogue
    histories: Histories
    now: int

    @cached_property
    def usual(self) -> NDArray[np.float64]:
        """Interactions of every item, float64 (n_items,)."""
        return np.bincount(self.histories.items, minlength=len(self.catalogue)).astype(np.float64)

    @cached_property
    def groups(self) -> dict[str, tuple[sparse.csr_matrix, list[str]]]:
        """Kind → item × group matrix, and the names of the groups."""
        catalogue = self.catalogue
        groups = {
            CATEGORY: (members(catalogue.leaf), list(catalogue.leaves)),
            ATTRIBUTE: self._words(),
        }
        if catalogue.brands:
            groups[BRAND] = (members(catalogue.brand), list(catalogue.brands))
        level = self._levels()
        if (level >= 0).any():
            groups[PRICE] = (members(level), list(LEVELS))
        return groups

    def _words(self) -> tuple[sparse.csr_matrix, list[str]]:
        table = title_words(self.catalogue)
        known = table["word"].unique().sort()
        code = known.search_sorted(table["word"]).to_numpy()
        rows = table["row"].to_numpy()
        shape = (len(self.catalogue), known.len())
        matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, code)), shape=shape)
        matrix.data[:] = 1.0
        return matrix, known.to_list()

    def _levels(self) -> NDArray[np.int32]:
        """Third of its category's prices that every item's price lies in, -1 where it has none."""
        table = pl.DataFrame({"leaf": self.catalogue.leaf, "price": pl.Series(self.catalogue.price).fill_nan(None)})
        rank = (pl.col("price").rank().over("leaf") - 0.5) / pl.col("price").count().over("leaf")
        third = (rank * 3).floor().clip(0, 2).cast(pl.Int32)
        return table.select(pl.when(pl.col("price").is_not_null()).then(third).fill_null(-1)).to_series().to_numpy()

    @cached_property
    def usual_share(self) -> dict[str, NDArray[np.float64]]:
        """Kind → every group's share of all people's interactions."""
        total = max(self.usual.sum(), 1.0)
        return {kind: np.asarray(matrix.T @ self.usual).ravel() / total for kind, (matrix, _) in self.groups.items()}

    def profile(
        self,
        history: Histories,
        searched: pl.DataFrame | None = None,
        told: Mapping[str, str] | None = None,
        shown: NDArray[np.integer] | None = None,
        language: Language = "en",
        most: int | None = None,
    ) -> list[Statement]:
        """All statements about one user, by kind, the surest first.

        Args:
            history: of one user.
            searched: ``query`` and ``timestamp`` of his searches: their words count as attributes.
            told: column of the users table → what it says of him.
            shown: rows of the items that may be named; ``None``: all.
            language: of what is said.
            most: of a category, brand, price or attribute so many statements will do; ``None``: all.
        """
        say = PHRASES[language]
        statements = self._searches(searched, say)
        statements += [
            Statement(TOLD, f"{name}: {value}", 1.0, f"{c.USERS}.{name}") for name, value in (told or {}).items()
        ]
        n = len(history.items)
        if n:
            draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
            for kind in (CATEGORY, BRAND, PRICE, ATTRIBUTE):
                if kind in self.groups:
                    statements += self._more_than_usual(kind, history, draws, shown, say, most)
            if history.timed:
                statements += [*self._rhythm(history, shown, say), *self._due(history, shown, say)]
        order = {kind: place for place, kind in enumerate(KINDS)}
        return sorted(statements, key=lambda one: (order[one.kind], -one.confidence, one.value))

    def _more_than_usual(
        self,
        kind: str,
        history: Histories,
        draws: NDArray[np.float64],
        shown: NDArray[np.integer] | None,
        say: Phrases,
        most: int | None,
    ) -> list[Statement]:
        """Groups of which the history has more than the shop, the surest first."""
        (matrix, names), usual, items = self.groups[kind], self.usual_share[kind], history.items
        met = matrix[items]
        count = np.asarray(met.sum(axis=0)).ravel()
        found = np.flatnonzero((count >= LEAST) & (count / len(items) > LIFT * usual))
        if len(found) == 0:
            return []
        among = met[:, found].tocsc()
        again = np.asarray(draws @ among) / len(items)
        holds = ((again > LIFT * usual[found]) & (again * len(items) >= LEAST)).mean(axis=0)
        statements = []
        surest = sorted(range(len(found)), key=lambda place: (-holds[place], names[found[place]]))[:most]
        for place in surest:
            group, sure = int(found[place]), float(holds[place])
            said = say.of_history(int(count[group]), len(items), float(usual[group]))
            said = say.level(group, said) if kind == PRICE else said
            latest = self._latest(history, np.sort(among[:, place].indices), shown, say)
            statements.append(Statement(kind, names[group], sure, said + latest))
        return statements

    def _latest(
        self, history: Histories, rows: NDArray[np.integer], shown: NDArray[np.integer] | None, say: Phrases
    ) -> str:
        """The last few of some events (ascending rows) of a history whose items may be named: the ids, and when."""
        rows = rows if shown is None else rows[np.isin(history.items[rows], shown)]
        rows = rows[::-1][:EVENTS]
        if len(rows) == 0:
            return ""
        ids = self.catalogue.items.take(history.items[rows])
        return _named(ids, pl.Series(history.times[rows]) if history.timed else None, say)

    def _searches(self, searched: pl.DataFrame | None, say: Phrases) -> list[Statement]:
        if searched is None or searched.height == 0:
            return []
        searched = searched.sort(c.TIMESTAMP, descending=True, nulls_last=True, maintain_order=True)
        known = pl.Series(self.groups[ATTRIBUTE][1], dtype=pl.String)
        often = query_words(searched[c.QUERY], known).group_by("word").agg(pl.col("row").unique().sort())
        often = often.filter(pl.col("row").list.len() >= LEAST).sort("word")
        total, found = searched.height, []
        for word, rows in often.rows():
            n, latest = len(rows), searched[rows[:EVENTS]]
            counts = say.of_searches(n, total) + _named(latest[c.QUERY], latest[c.TIMESTAMP], say)
            found.append(Statement(ATTRIBUTE, word, 1 - (1 - n / total) ** n, counts))
        return found

    def _rhythm(self, history: Histories, shown: NDArray[np.integer] | None, say: Phrases) -> list[Statement]:
        """The usual gap between days on which the user did something."""
        times = history.times
        gaps = np.diff(np.unique(times // DAY))
        if len(gaps) < LEAST:
            return []
        usual = float(np.median(gaps))
        again = np.median(np.random.default_rng(0).choice(gaps, (RESAMPLES, len(gaps))), axis=1)
        sure = float((np.abs(again - usual) <= max(0.25 * usual, 1.0)).mean())
        counts = say.gaps(usual, len(gaps), int(gaps.min()), int(gaps.max()))
        first_of_day = np.unique(times // DAY, return_index=True)[1]
        latest = self._latest(history, first_of_day, shown, say)
        return [Statement(RHYTHM, PHRASES["en"].gap(usual), sure, counts + latest)]

    def _due(self, history: Histories, shown: NDArray[np.integer] | None, say: Phrases) -> list[Statement]:
        """Items that are bought again and again, and are about to be."""
        items, times, found = history.items, history.times, []
        often = np.flatnonzero(np.bincount(items) > LEAST)
        for item in often if shown is None else np.intersect1d(often, shown):
            days = np.unique(times[items == item] // DAY)
            gaps = np.diff(days)
            if len(gaps) < LEAST:
                continue
            usual, waited = float(np.median(gaps)), float(self.now // DAY - days[-1])
            if not TIME_AGAIN * usual <= waited <= 3 * usual:
                continue
            again = np.median(np.random.default_rng(0).choice(gaps, (RESAMPLES, len(gaps))), axis=1)
            sure = float(((waited >= TIME_AGAIN * again) & (waited <= 3 * again)).mean())
            latest = self._latest(history, np.flatnonzero(items == item), shown, say)
            counts = say.due(len(days), usual, waited) + latest
            found.append(Statement(DUE, self.catalogue.items.id(int(item)), sure, counts))
        return found


def _named(names: pl.Series, times: pl.Series | None, say: Phrases) -> str:
    """Some events in words, such as "; latest: b7 (2026-03-01 14:05), …"; without a time the name alone."""
    when = [None] * names.len() if times is None else times.to_list()
    told = [
        name if time is None else say.event(name, dt.datetime.fromtimestamp(time, dt.UTC))
        for name, time in zip(names, when, strict=True)
    ]
    return say.latest(told)


def table(profiles: list[tuple[str | None, list[Statement]]], n: int, release: str) -> pl.DataFrame:
    """The statements as an answer: the ``n`` surest of every kind of every user.

    Args:
        profiles: user id and statements.
        n: statements of a kind.
        release: that answered.
    """
    rows = []
    for user, statements in profiles:
        taken = dict.fromkeys(KINDS, 0)
        rank = 0
        for one in statements:
            taken[one.kind] += 1
            if taken[one.kind] > n:
                continue
            rank += 1
            rows.append((user, NAME, rank, one.kind, one.value, one.confidence, one.kind, one.evidence, release))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
