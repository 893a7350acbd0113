"""The surface ``trends``: what is rising (items, categories, brands, attributes, words), and of it what fits a user."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.growth import WEEK, Counts, Estimate, Growth, estimate, weekly
from kuapin.ranking.phrases import PHRASES, Language, Phrases
from kuapin.retrieval.knowledge import Entities
from kuapin.retrieval.members import members
from kuapin.surfaces.answer import Answer, Reasons, join
from kuapin.surfaces.title_words import query_words, title_words
from kuapin.text.attributes import attributes

NAME = "trends"
ITEM, CATEGORY, BRAND, ATTRIBUTE, WORD = KINDS = ("item", "category", "brand", "attribute", "word")
SHARES = {CATEGORY: 0.2, BRAND: 0.1, ATTRIBUTE: 0.1, WORD: 0.2}
"""Share of a list that each kind may have; items take what is left."""
FIT = 2.0
"""How much more the odds of an item count whose shelf is all that the user buys from."""
FEWEST_ITEMS, MOST_SHARE = 3, 0.2
"""A word or an attribute of fewer items is their own; a word in a larger share of titles says nothing."""
LEAST = 1.05
"""So many times what was to be expected an item is met that is called rising where it is not beyond doubt."""
SOON, STEADY = CODES = ("rising", "will_grow")
"""Reason codes: more than expected beyond doubt (the interval excludes 1); or not that sure, but likely to go on."""


@dataclass(frozen=True)
class Rising:
    """What rises of one kind, best first.

    Attributes:
        names: what is shown.
        score: float64 (k,), the probability that next week brings more; of other kinds than items 0.5 and above.
        estimate: of these k.
        of_item: items × k CSR, above 0 where an item is one or has it.
    """

    names: list[str]
    score: NDArray[np.float64]
    estimate: Estimate
    of_item: sparse.csr_matrix


@dataclass(frozen=True)
class Trends:
    """Finds what rises at a time.

    Attributes:
        growth: of the live release.
        catalogue: the items.
        histories: of all users, as the shop has them now.
        now: unix seconds.
        queries: what people searched for, with the time: columns ``query`` and ``timestamp``; may be empty.
    """

    growth: Growth
    catalogue: Catalogue
    histories: Histories
    now: int
    queries: pl.DataFrame

    @cached_property
    def rising(self) -> Mapping[str, Rising]:
        """What rises, by kind, in the order of ``KINDS``."""
        counts, catalogue = weekly(self.histories, self.now), self.catalogue
        things = {
            CATEGORY: Entities(members(catalogue.leaf), catalogue.leaves),
            BRAND: Entities(members(catalogue.brand), catalogue.brands),
            ATTRIBUTE: self._attributes(),
            WORD: self._words(),
        }
        return {ITEM: self._items(counts)} | {kind: self._beyond_doubt(kind, of, counts) for kind, of in things.items()}

    def _items(self, counts: Counts) -> Rising:
        """Items above expectation beyond doubt or by ``LEAST``, by the probability that next week brings more."""
        parent = self.catalogue.category
        found, sure = estimate(counts, parent, self.growth.config), self.growth.probability(counts, parent)
        rows = np.flatnonzero(
            ((found.low > 0) | (found.growth > np.log(LEAST))) & ~np.isnan(sure) & self.catalogue.available
        )
        rows = rows[np.argsort(-sure[rows], kind="stable")]
        one = sparse.csr_matrix(
            (np.ones(len(rows), np.float32), (rows, np.arange(len(rows)))), shape=(len(self.catalogue), len(rows))
        )
        return Rising(self.catalogue.items.take(rows).to_list(), sure[rows], _of(found, rows), one)

    def _beyond_doubt(self, kind: str, things: Entities, of_items: Counts) -> Rising:
        """Things that items have, those above expectation beyond doubt; words of searches count too."""
        counts = np.asarray(things.of_item.T @ of_items, np.float32)
        if kind == WORD:
            counts += self._searched(pl.Series(things.names, dtype=pl.String), counts.shape[1])
        found = estimate(counts, np.zeros(len(counts), np.int64), self.growth.config)
        rows = np.flatnonzero(found.low > 0)
        rows = rows[np.argsort(-found.low[rows], kind="stable")]
        score = 0.5 + 0.5 * np.tanh(found.low[rows])
        return Rising([things.names[row] for row in rows], score, _of(found, rows), things.of_item[:, rows].tocsr())

    def _attributes(self) -> Entities:
        """Values of the text columns that the shop has beside those of every shop, as ``column: value``."""
        tables = [
            pl.DataFrame({"row": np.arange(len(values), dtype=np.uint32), "name": values}).with_columns(
                pl.format("{}: {}", pl.lit(values.name), "name").alias("name")
            )
            for values in attributes(self.catalogue.frame)
        ]
        return self._often(pl.concat([_NONE, *tables]).drop_nulls(), len(self.catalogue))

    def _words(self) -> Entities:
        """Words of titles."""
        return self._often(title_words(self.catalogue).rename({"word": "name"}), int(MOST_SHARE * len(self.catalogue)))

    def _often(self, table: pl.DataFrame, most: int) -> Entities:
        """Things that so many items have at most, by row and name, and at least ``FEWEST_ITEMS``."""
        size = table.group_by("name").len()
        names = size.filter(pl.col("len").is_between(FEWEST_ITEMS, max(most, FEWEST_ITEMS)))["name"].sort()
        table = table.filter(pl.col("name").is_in(names.implode())).unique()
        place = (table["row"].to_numpy(), names.search_sorted(table["name"]).to_numpy())
        of_item = sparse.csr_matrix(
            (np.ones(table.height, np.float32), place), shape=(len(self.catalogue), names.len())
        )
        return Entities(of_item, tuple(names))

    def _searched(self, kept: pl.Series, weeks: int) -> Counts:
        counts = np.zeros((kept.len(), weeks), np.float32)
        if self.queries.height == 0 or weeks == 0:
            return counts
        table = query_words(self.queries["query"], kept).filter(pl.col("word").is_in(kept.implode()))
        ago = (self.now - 1 - self.queries[c.TIMESTAMP].to_numpy()[table["row"].to_numpy()]) // WEEK
        inside = (ago >= 0) & (ago < weeks)
        code = kept.search_sorted(table["word"]).to_numpy()
        np.add.at(counts, (code[inside], weeks - 1 - ago[inside]), 1)
        return counts

    @cached_property
    def targets(self) -> pl.DataFrame:
        """All that rises, by kind: ``id``, ``kind``, and the columns ``columns.GROWN``.

        Of the ratio to what was to be expected the 95 % interval; ``since``: the day that the excess began, null where
        it has no beginning.
        """
        kinds = [
            pl.DataFrame(
                {
                    "id": pl.Series(one.names, dtype=pl.String),
                    c.KIND: pl.Series([kind] * len(one.names), dtype=pl.String),
                    c.GROWTH: np.exp(one.estimate.growth),
                    c.GROWTH_LOW: np.exp(one.estimate.low),
                    c.GROWTH_HIGH: np.exp(one.estimate.high),
                    c.SINCE: pl.Series(self.now - one.estimate.since * WEEK, dtype=pl.Int64),
                }
            ).with_columns(
                pl.when(pl.col(c.SINCE) < self.now).then(pl.from_epoch(c.SINCE).cast(pl.Date)).alias(c.SINCE)
            )
            for kind, one in self.rising.items()
        ]
        return pl.concat(kinds)

    def trends(
        self,
        histories: Histories,
        n: int,
        items: NDArray[np.integer] | None = None,
        *,
        doubt: NDArray[np.floating] | None = None,
        explain: bool = False,
        language: Language = "en",
    ) -> Answer:
        """The ``n`` rising things that suit every user best; someone without a history gets what rises most.

        Args:
            histories: of the users.
            n: rows a user.
            items: ascending rows of the items that may be shown; ``None``: all. What none of them has is left out.
            doubt: (n_items,), log odds that safety takes off in the order of the items; ``None``: nothing.
            explain: whether every row gets its reason.
            language: of the reasons.

        Returns:
            The answer, in rows of ``targets``.
        """
        first = dict(zip(KINDS, np.cumsum([0, *(len(self.rising[kind].names) for kind in KINDS)]), strict=False))
        may = {kind: _has(one, items) for kind, one in self.rising.items()}
        few = {kind: min(int(n * share), int(may[kind].sum())) for kind, share in SHARES.items()}
        longest = {ITEM: n - sum(few.values())} | few
        score, met = np.concatenate([one.score for one in self.rising.values()]), histories.matrix()
        less = np.zeros(len(self.catalogue)) if doubt is None else doubt
        parts = []
        for user in range(len(histories)):
            history = met[user]
            chosen = []
            for kind, count in longest.items():
                order = self._liked(kind, history, less)
                chosen.append(first[kind] + order[may[kind][order]][:count])
            rows = np.concatenate(chosen).astype(np.int32)
            reasons = self._reasons(rows, PHRASES[language]) if explain else None
            parts.append(Answer(np.full(len(rows), user), rows, score[rows].astype(np.float32), reasons))
        return join(parts)

    def _liked(self, kind: str, history: sparse.csr_matrix, less: NDArray[np.floating]) -> NDArray[np.intp]:
        """What rises of one kind, what fits best first: an item by its shelf, all else by how much of it there is."""
        one, total = self.rising[kind], max(float(history.sum()), 1.0)
        if kind == ITEM:
            sure = np.clip(one.score, 1e-6, 1 - 1e-6)
            shelf = np.bincount(self.catalogue.leaf[history.indices], minlength=len(self.catalogue.leaves)) / total
            fit = np.sqrt(shelf[self.catalogue.leaf[self._item_rows]])
            return np.argsort(-(np.log(sure / (1 - sure)) + FIT * fit - less[self._item_rows]), kind="stable")
        share = (history @ one.of_item).toarray()[0] / total
        return np.argsort(-(one.estimate.low + np.sqrt(share)), kind="stable")

    @cached_property
    def _item_rows(self) -> NDArray[np.int32]:
        """Row of every rising item."""
        rows: NDArray[np.int32] = self.rising[ITEM].of_item.tocsc().indices
        return rows

    def _reasons(self, rows: NDArray[np.int32], say: Phrases) -> Reasons:
        every = [one.estimate for one in self.rising.values()]
        growth, low, high, since = (
            np.concatenate([getattr(one, name) for one in every])[rows] for name in ("growth", "low", "high", "since")
        )
        codes, texts = [], []
        for more, least, most, weeks in zip(growth, low, high, since.tolist(), strict=True):
            codes.append(SOON if least > 0 else STEADY)
            texts.append(say.growth(np.exp(more), np.exp(least), np.exp(most), weeks))
        return Reasons(codes, texts)


_NONE = pl.DataFrame(schema={"row": pl.UInt32, "name": pl.String})


def _has(one: Rising, items: NDArray[np.integer] | None) -> NDArray[np.bool_]:
    """Which of what rises one of the items is or has, bool (k,)."""
    if items is None:
        return np.ones(len(one.names), np.bool_)
    return np.asarray(one.of_item[items[items < one.of_item.shape[0]]].sum(axis=0)).ravel() > 0


def _of(found: Estimate, rows: NDArray[np.integer]) -> Estimate:
    """Of some rows; of what is in doubt nobody knows the beginning."""
    since = np.where(found.low[rows] > 0, found.since[rows], 0)
    return Estimate(found.growth[rows], found.error[rows], since)
