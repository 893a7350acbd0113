"""The surface ``profile``: what the system knows of a user, every statement with its evidence and its confidence."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.phrases import PHRASES, Language, Phrases
from kuapin.retrieval.sources.groups import members
from kuapin.retrieval.sources.lexical import words
from kuapin.surfaces.answer import SCHEMA

NAME = "profile"
CATEGORY, BRAND, PRICE, ATTRIBUTE, RHYTHM, DUE = KINDS = ("category", "brand", "price", "attribute", "rhythm", "due")
"""What a statement is about. Reason codes are the same."""
RESAMPLES = 100
LEAST = 3
"""Events that a statement rests on, at least."""
LIFT = 1.25
"""How much more of something there must be in a history than in the shop."""
LEVELS = ("low", "middle", "high")
DAY = 86_400
TIME_AGAIN = 0.8
"""Share of the usual gap after which an item counts as due."""


@dataclass(frozen=True)
class Statement:
    """One thing that is known of a user.

    Attributes:
        kind: one of ``KINDS``.
        value: what is said, such as the name of a category.
        confidence: share of resampled histories in which it holds as well.
        evidence: the counts that it rests on.
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
        frame = self.catalogue.frame
        titles = frame[c.TITLE].fill_null("") if c.TITLE in frame.columns else pl.repeat("", frame.height, eager=True)
        table = words(titles).filter(pl.col("word").str.len_chars() > 2, ~pl.col("word").str.contains(r"^\p{N}+$"))
        known = table["word"].unique().sort()
        code = known.search_sorted(table["word"]).to_numpy()
        rows = table["row"].to_numpy()
        shape = (frame.height, known.len())
        matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, code)), shape=shape)
        matrix.data[:] = 1.0
        return matrix, known.to_list()

    def _levels(self) -> NDArray[np.int32]:
        """Third of its category's prices that every item's price lies in, -1 where it has none."""
        table = pl.DataFrame({"leaf": self.catalogue.leaf, "price": pl.Series(self.catalogue.price).fill_nan(None)})
        rank = (pl.col("price").rank().over("leaf") - 0.5) / pl.col("price").count().over("leaf")
        third = (rank * 3).floor().clip(0, 2).cast(pl.Int32)
        return table.select(pl.when(pl.col("price").is_not_null()).then(third).fill_null(-1)).to_series().to_numpy()

    def profile(
        self,
        history: Histories,
        searched: pl.Series | None = None,
        shown: NDArray[np.integer] | None = None,
        language: Language = "en",
    ) -> list[Statement]:
        """All statements about one user, by kind, the surest first.

        Args:
            history: of one user; empty: nothing is known, and nothing said.
            searched: what he searched for: its words count as attributes.
            shown: rows of the items that may be named as due; ``None``: all.
            language: of what is said.
        """
        items, times, say = history.items, history.times, PHRASES[language]
        if len(items) == 0:
            return []
        draws = np.random.default_rng(0).multinomial(len(items), np.full(len(items), 1 / len(items)), RESAMPLES)
        statements = []
        for kind in (CATEGORY, BRAND, PRICE, ATTRIBUTE):
            if kind in self.groups:
                statements += self._more_than_usual(kind, items, draws.astype(np.float64), say)
        statements += self._searches(searched, say)
        if history.timed:
            statements += [*self._rhythm(times, say), *self._due(items, times, shown, say)]
        order = {kind: place for place, kind in enumerate(KINDS)}
        return sorted(statements, key=lambda one: (order[one.kind], -one.confidence, one.value))

    def _more_than_usual(
        self, kind: str, items: NDArray[np.int32], draws: NDArray[np.float64], say: Phrases
    ) -> list[Statement]:
        """Groups of which the history has more than the shop."""
        matrix, names = self.groups[kind]
        met = matrix[items]
        count = np.asarray(met.sum(axis=0)).ravel()
        all_of = max(self.usual.sum(), 1.0)
        usual = np.asarray(matrix.T @ self.usual).ravel() / all_of
        found = np.flatnonzero((count >= LEAST) & (count / len(items) > LIFT * usual))
        if len(found) == 0:
            return []
        again = np.asarray(draws @ met[:, found]) / len(items)
        holds = ((again > LIFT * usual[found]) & (again * len(items) >= LEAST)).mean(axis=0)
        return [
            Statement(
                kind,
                say.level(int(group)) if kind == PRICE else names[group],
                float(sure),
                say.of_history(int(count[group]), len(items), float(usual[group])),
            )
            for group, sure in zip(found, holds, strict=True)
        ]

    def _searches(self, searched: pl.Series | None, say: Phrases) -> list[Statement]:
        if searched is None or searched.len() == 0:
            return []
        often = words(searched.fill_null("")).group_by("word").agg(pl.col("row").n_unique().alias("n"))
        often = often.filter(pl.col("n") >= LEAST).sort("word")
        total = searched.len()
        return [
            Statement(ATTRIBUTE, word, 1 - (1 - n / total) ** n, say.of_searches(n, total)) for word, n in often.rows()
        ]

    def _rhythm(self, times: NDArray[np.int64], say: Phrases) -> list[Statement]:
        """The usual gap between days on which the user did something."""
        gaps = np.diff(np.unique(times // DAY))
        if len(gaps) < LEAST:
            return []
        usual = float(np.median(gaps))
        again = np.median(np.random.default_rng(0).choice(gaps, (RESAMPLES, len(gaps))), axis=1)
        sure = float((np.abs(again - usual) <= max(0.25 * usual, 1.0)).mean())
        return [Statement(RHYTHM, say.gap(usual), sure, say.gaps(len(gaps), int(gaps.min()), int(gaps.max())))]

    def _due(
        self,
        items: NDArray[np.int32],
        times: NDArray[np.int64],
        shown: NDArray[np.integer] | None,
        say: Phrases,
    ) -> list[Statement]:
        """Items that are bought again and again, and are about to be."""
        found = []
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
            found.append(Statement(DUE, self.catalogue.items.id(int(item)), sure, say.due(len(days), usual, waited)))
        return found


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
