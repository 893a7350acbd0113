"""The surface ``similar``: items that could stand in for one item."""

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
from kuapin.retrieval.index import ExactIndex
from kuapin.retrieval.sources.content import Content
from kuapin.retrieval.sources.lexical import words
from kuapin.surfaces.answer import Answer, Reasons

NAME = "similar"
BRAND_AND_CATEGORY, SAME_PEOPLE, SAME_CATEGORY, SAME_BRAND, SAME_WORDS, ALIKE = CODES = (
    "same_brand_and_category",
    "same_people",
    "same_category",
    "same_brand",
    "same_words",
    "similar",
)
"""Reason codes, the first that holds: what the two items share; people where they add more than a category or a brand
does; the texts are near in any case."""
POOL = 200
"""Nearest texts among which people, category and brand change the order."""
AGREES = 0.05
"""What the same category adds to the cosine, and the same brand."""
FEWEST_PEOPLE = 3
"""What fewer people met together is not said to be: the answer would tell what each of them did."""
SHRINKAGE = 5.0
"""People added to every item's count, as in ``ItemKnn``."""


@dataclass(frozen=True)
class SimilarItems:
    """Finds the items whose texts are nearest, of these first what the same people met, of its category and brand.

    The score is the cosine of the texts, plus the damped cosine of the people of both, plus ``AGREES`` for the category
    and for the brand; of an item that fewer than ``FEWEST_PEOPLE`` met the texts decide alone.

    Attributes:
        content: the fitted source, for its text vectors; items with one text share one.
        catalogue: titles, brands and categories.
        histories: of all users, for what the same people met; ``None``: the texts decide alone.
    """

    content: Content
    catalogue: Catalogue
    histories: Histories | None = None

    @cached_property
    def titles(self) -> pl.Series:
        """Of every item, empty where there is none."""
        frame = self.catalogue.frame
        return frame[c.TITLE].fill_null("") if c.TITLE in frame.columns else pl.repeat("", frame.height, eager=True)

    @cached_property
    def index(self) -> ExactIndex:
        """Over the distinct texts."""
        return ExactIndex(self.content.vectors)

    def similar(
        self,
        item: int,
        n: int,
        mask: NDArray[np.bool_],
        *,
        doubt: NDArray[np.floating] | None = None,
        explain: bool = False,
        language: Language = "en",
    ) -> Answer:
        """The ``n`` items that could best stand in for one, itself left out; fewer only where fewer may be shown.

        Args:
            item: row of the item.
            n: how many.
            mask: bool (n_items,), which may be shown.
            doubt: (n_items,), log odds that safety takes off: 1 + score shrinks by so much; ``None``: nothing.
            explain: whether every row gets its reason.
            language: of the reasons.
        """
        text_of = self.content.text_of
        allowed = np.flatnonzero(mask)
        allowed = allowed[allowed != item]
        texts = np.zeros(len(self.content.vectors), np.bool_)
        texts[text_of[allowed]] = True
        less = np.zeros(len(mask)) if doubt is None else doubt
        pool = max(n, POOL) + int(np.count_nonzero(less[allowed]))  # enough of what nobody doubts
        found, cosine = self.index.search(self.content.vectors[text_of[item]][None], pool, texts)
        near = {int(text): float(score) for text, score in zip(found[0], cosine[0], strict=True) if text >= 0}
        rows = allowed[np.isin(text_of[allowed], list(near))]
        scores = np.array([near[int(text)] for text in text_of[rows]], np.float32)
        alike, who = self._alike(item, rows), self._who(item)
        if who.sum() >= FEWEST_PEOPLE:
            nearest = np.flatnonzero(scores >= cosine[0, :POOL][found[0, :POOL] >= 0].min(initial=1))
            scores[nearest] += self._people(item, rows[nearest]) + np.float32(AGREES) * alike[nearest]
        scores = np.where(less[rows] > 0, (1 + scores) * np.exp(-less[rows]) - 1, scores).astype(np.float32)
        # Where nothing else tells two items apart, those of the same brand and category come first.
        order = np.lexsort((rows, -alike, -scores))[:n]
        rows = rows[order].astype(np.int32)
        reasons = self._reasons(item, rows, PHRASES[language]) if explain else None
        return Answer(np.zeros(len(rows), np.int64), rows, scores[order], reasons)

    @cached_property
    def _met(self) -> sparse.csc_matrix:
        """Users × items, 1 where the user met the item."""
        if self.histories is None:
            return sparse.csc_matrix((0, len(self.catalogue)), dtype=np.float32)
        return self.histories.matrix().tocsc()

    def _who(self, item: int) -> NDArray[np.float32]:
        """Who met an item, float32 (n_users,)."""
        return np.asarray(self._met[:, [item]].toarray().ravel(), np.float32)

    def _people(self, item: int, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """The damped cosine of the people of one item and of others, float32 (k,); 0 below ``FEWEST_PEOPLE``."""
        who, theirs = self._who(item), self._met[:, rows]
        both = theirs.T @ who
        damped = both / np.sqrt((who.sum() + SHRINKAGE) * (np.diff(theirs.indptr) + SHRINKAGE))
        return np.where(both >= FEWEST_PEOPLE, damped, 0).astype(np.float32)

    def _alike(self, item: int, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        same = self.catalogue.leaf[rows] == self.catalogue.leaf[item]
        brand = self.catalogue.brand[item]
        return np.asarray(same.astype(np.int64) + ((brand >= 0) & (self.catalogue.brand[rows] == brand)), np.int64)

    def _reasons(self, item: int, rows: NDArray[np.int32], say: Phrases) -> Reasons:
        people = self._people(item, rows) > AGREES
        said = [self._reason(item, int(row), say, people=bool(one)) for row, one in zip(rows, people, strict=True)]
        return Reasons([code for code, _ in said], [text for _, text in said])

    def _reason(self, item: int, row: int, say: Phrases, *, people: bool) -> tuple[str, str]:
        brand = self.catalogue.brand[row]
        same_brand = brand >= 0 and brand == self.catalogue.brand[item]
        same_leaf = self.catalogue.leaf[row] == self.catalogue.leaf[item]
        name = self.catalogue.brands[brand] if same_brand else None
        leaf = self.catalogue.leaves[self.catalogue.leaf[row]] if same_leaf else None
        if same_brand and same_leaf:
            return BRAND_AND_CATEGORY, say.also(name, leaf)
        if people:
            return SAME_PEOPLE, say.same_people()
        if same_brand or same_leaf:
            return SAME_CATEGORY if same_leaf else SAME_BRAND, say.also(name, leaf)
        if both := shared_words(self.titles[item], self.titles[row]):
            return SAME_WORDS, say.same_words(both)
        return ALIKE, say.alike()


def shared_words(one: str, other: str) -> list[str]:
    """The longest words that two titles have in common, three at most, in the order of the first."""
    table = words(pl.Series([one, other]))
    both = set(table.filter(pl.col("row") == 0)["word"]) & set(table.filter(pl.col("row") == 1)["word"])
    longest = sorted(both, key=lambda word: (-len(word), word))[:3]
    return sorted(longest, key=one.lower().find)
