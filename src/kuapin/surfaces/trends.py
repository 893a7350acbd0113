"""The surface ``trends``: items, categories and words that are rising, and of these what fits a user."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.growth import Counts, Estimate, Growth, estimate, weekly
from kuapin.ranking.phrases import PHRASES, Language, Phrases
from kuapin.retrieval.sources.groups import members
from kuapin.retrieval.sources.lexical import words
from kuapin.surfaces.answer import Answer, Reasons, join

NAME = "trends"
ITEM, CATEGORY, WORD = KINDS = ("item", "category", "word")
SHARES = {ITEM: 0.6, CATEGORY: 0.2, WORD: 0.2}
"""Share of a list that each kind may have; items take what is left."""
FIT = 2.0
"""How much more the odds of an item count whose shelf is all that the user buys from."""
FEWEST_ITEMS, MOST_SHARE = 3, 0.2
"""A word in fewer titles is that item's own; one in a larger share of them says nothing."""
SOON, STEADY = CODES = ("rising", "will_grow")
"""Reason codes: more than expected beyond doubt (the interval excludes 1); or not that sure, but likely to go on."""


@dataclass(frozen=True)
class Rising:
    """What rises of one kind, best first.

    Attributes:
        names: what is shown.
        rows: int64 (k,), item rows for items, codes otherwise.
        score: float64 (k,), the probability that next week brings more; of categories and words 0.5 and above.
        estimate: of these rows.
    """

    names: list[str]
    rows: NDArray[np.int64]
    score: NDArray[np.float64]
    estimate: Estimate


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
    def items(self) -> Rising:
        """Items above expectation, by the probability that next week brings more."""
        counts = weekly(self.histories, self.now)
        parent = self.catalogue.category
        found, sure = estimate(counts, parent, self.growth.config), self.growth.probability(counts, parent)
        rows = np.flatnonzero((found.growth > 0) & ~np.isnan(sure) & self.catalogue.available)
        rows = rows[np.argsort(-sure[rows], kind="stable")]
        return Rising(self.catalogue.items.take(rows).to_list(), rows, sure[rows], _of(found, rows))

    @cached_property
    def categories(self) -> Rising:
        """Category paths above expectation beyond doubt."""
        counts = weekly(self.histories, self.now, self.catalogue.leaf)
        return self._sure(counts, np.zeros(len(counts), np.int64), list(self.catalogue.leaves))

    @cached_property
    def words(self) -> Rising:
        """Words of titles that are bought, and of searches, above expectation beyond doubt."""
        frame = self.catalogue.frame
        if c.TITLE not in frame.columns:
            return self._sure(np.zeros((0, 0), np.float32), np.empty(0, np.int64), [])
        counts = weekly(self.histories, self.now)
        table = words(frame[c.TITLE].fill_null("")).filter(pl.col("word").str.len_chars() > 2)
        often = table.group_by("word").len()
        often = often.filter(pl.col("len").is_between(FEWEST_ITEMS, max(MOST_SHARE * frame.height, FEWEST_ITEMS)))
        kept = often.filter(~pl.col("word").str.contains(r"^\p{N}+$"))["word"].sort()
        table = table.filter(pl.col("word").is_in(kept.implode()))
        code = kept.search_sorted(table["word"]).to_numpy()
        total = np.zeros((kept.len(), counts.shape[1]), np.float32)
        np.add.at(total, code, counts[table["row"].to_numpy()])
        total += self._searched(kept, counts.shape[1])
        return self._sure(total, np.zeros(len(total), np.int64), kept.to_list())

    def _searched(self, kept: pl.Series, weeks: int) -> Counts:
        counts = np.zeros((kept.len(), weeks), np.float32)
        if self.queries.height == 0 or weeks == 0:
            return counts
        table = words(self.queries["query"]).filter(pl.col("word").is_in(kept.implode()))
        ago = (self.now - 1 - self.queries[c.TIMESTAMP].to_numpy()[table["row"].to_numpy()]) // (7 * 86_400)
        inside = (ago >= 0) & (ago < weeks)
        code = kept.search_sorted(table["word"]).to_numpy()
        np.add.at(counts, (code[inside], weeks - 1 - ago[inside]), 1)
        return counts

    def _sure(self, counts: Counts, parent: NDArray[np.integer], names: list[str]) -> Rising:
        found = estimate(counts, parent, self.growth.config)
        rows = np.flatnonzero(found.low > 0)
        rows = rows[np.argsort(-found.low[rows], kind="stable")]
        score = 0.5 + 0.5 * np.tanh(found.low[rows])
        return Rising([names[row] for row in rows], rows, score, _of(found, rows))

    def trends(
        self,
        histories: Histories,
        n: int,
        items: NDArray[np.integer] | None = None,
        *,
        explain: bool = False,
        language: Language = "en",
    ) -> tuple[Answer, pl.Series, pl.Series]:
        """The ``n`` rising things that suit every user best; someone without a history gets what rises most.

        Args:
            histories: of the users.
            n: rows a user.
            items: ascending rows of the items that may be shown; ``None``: all. Categories and words are not limited.
            explain: whether every row gets its reason.
            language: of the reasons.

        Returns:
            The answer, in rows of the names that follow; the names, and what each is.
        """
        kinds = {ITEM: self.items, CATEGORY: self.categories, WORD: self.words}
        names = pl.Series("id", [name for rising in kinds.values() for name in rising.names], dtype=pl.String)
        what = pl.Series("kind", [kind for kind, one in kinds.items() for _ in one.names], dtype=pl.String)
        first = dict(zip(kinds, np.cumsum([0, *(len(one.names) for one in kinds.values())]), strict=False))
        may = np.ones(len(self.items.rows), np.bool_) if items is None else np.isin(self.items.rows, items)
        shelves = self._shelves(histories)
        parts = []
        for user in range(len(histories)):
            liked = self._liked(shelves[user], may)
            few = {kind: min(int(n * SHARES[kind]), len(kinds[kind].names)) for kind in (CATEGORY, WORD)}
            chosen = [first[ITEM] + liked[: n - sum(few.values())]]
            for kind, count in few.items():
                order = self._liked_categories(shelves[user]) if kind == CATEGORY else np.arange(len(kinds[kind].rows))
                chosen.append(first[kind] + order[:count])
            rows = np.concatenate(chosen).astype(np.int32)
            scores = np.concatenate([one.score for one in kinds.values()])[rows].astype(np.float32)
            reasons = self._reasons(rows, PHRASES[language]) if explain else None
            parts.append(Answer(np.full(len(rows), user), rows, scores, reasons))
        return join(parts), names, what

    def _shelves(self, histories: Histories) -> NDArray[np.float64]:
        """Share of every user's history on every shelf, float64 (n_users, n_leaves)."""
        met = np.asarray((histories.matrix() @ members(self.catalogue.leaf)).toarray(), np.float64)
        return np.asarray(met / np.maximum(met.sum(axis=1, keepdims=True), 1.0))

    def _liked(self, shelves: NDArray[np.float64], may: NDArray[np.bool_]) -> NDArray[np.intp]:
        sure = np.clip(self.items.score, 1e-6, 1 - 1e-6)
        fit = np.sqrt(shelves[self.catalogue.leaf[self.items.rows]]) if len(sure) else np.zeros(0)
        order = np.argsort(-(np.log(sure / (1 - sure)) + FIT * fit), kind="stable")
        return order[may[order]]

    def _liked_categories(self, shelves: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.argsort(-(self.categories.estimate.low + np.sqrt(shelves[self.categories.rows])), kind="stable")

    def _reasons(self, rows: NDArray[np.int32], say: Phrases) -> Reasons:
        every = [self.items.estimate, self.categories.estimate, self.words.estimate]
        growth, error, since = (
            np.concatenate([getattr(one, name) for one in every])[rows] for name in ("growth", "error", "since")
        )
        codes, texts = [], []
        for more, wrong, weeks in zip(growth, error, since, strict=True):
            low, high = np.exp(more - 1.96 * wrong), np.exp(more + 1.96 * wrong)
            codes.append(SOON if low > 1 else STEADY)
            texts.append(say.growth(np.exp(more), low, high, weeks))
        return Reasons(codes, texts)


def _of(found: Estimate, rows: NDArray[np.integer]) -> Estimate:
    return Estimate(found.growth[rows], found.error[rows], found.since[rows])
