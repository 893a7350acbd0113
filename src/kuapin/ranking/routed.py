"""Several recommenders as one: each serves its own items, and a list is the best of what they say of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.diversity import within_cap
from kuapin.ranking.recommender import Ranked, Recommender
from kuapin.retrieval.source import Candidates


@dataclass(frozen=True)
class Served:
    """A part of a release; all parts know the same items, row by row.

    Attributes:
        recommender: of the part.
        catalogue: its items; its codes of categories, shelves and brands are the part's own.
        categories: top-level ones that it serves.
        folder: of the part, inside the release.
        items: bool (n_items,), which items it serves.
    """

    recommender: Recommender
    catalogue: Catalogue
    categories: frozenset[str]
    folder: str
    items: NDArray[np.bool_]

    @classmethod
    def of(
        cls, recommender: Recommender, catalogue: Catalogue, categories: Iterable[str], folder: str, whole: Catalogue
    ) -> Self:
        """A part that serves some categories, as the default part's catalogue (``whole``) has them.

        An item that moved to another category since the part was trained is served where it is now, and nowhere else.
        """
        names = frozenset(categories)
        codes = [code for code, name in enumerate(whole.categories) if name in names]
        return cls(recommender, catalogue, names, folder, np.isin(whole.category, codes))


@dataclass(frozen=True)
class Routed(Recommender):
    """The recommender of a release in which some categories have a part of their own.

    It is the default part itself for all that is not a list: its texts and its popularity are those of the whole. All
    scores are probabilities, so that what the parts say can be put in one order.

    Attributes:
        others: the other parts; no item is served by two of them.
    """

    others: tuple[Served, ...] = ()

    @classmethod
    def of(cls, default: Recommender, others: Sequence[Served]) -> "Routed":
        """The default part with others."""
        parts = default.signals, default.ranker, default.calibration, default.strangers
        return cls(*parts, others=tuple(others))

    @property
    def default(self) -> Recommender:
        """The part that serves what no other does."""
        return Recommender(self.signals, self.ranker, self.calibration, self.strangers)

    def ranked(
        self,
        histories: Histories,
        n: int,
        items: NDArray[np.integer] | None = None,
        per_category: int | None = None,
        least: int | None = None,
    ) -> Iterator[tuple[NDArray[np.int64], Ranked]]:
        """As of any recommender; every part ranks its own items, and the best of all are kept.

        The features of a row are those of the part that serves it, with zeros behind them where another has more.
        """
        allowed = np.ones(len(self.signals.facts.users), np.bool_)
        if items is not None:
            allowed[:] = False
            allowed[items] = True
        asked = [(part, np.flatnonzero(mask & allowed)) for part, mask in self._shares()]
        streams = [part.ranked(histories, n, rows, per_category, least) for part, rows in asked if len(rows)]
        if not streams:
            streams = [self.default.ranked(histories, n, np.empty(0, np.int64), per_category, least)]
        for blocks in zip(*streams, strict=True):  # all parts cut the users into the same blocks
            yield blocks[0][0], self._best([ranked for _, ranked in blocks], n, per_category)

    @cached_property
    def rest(self) -> NDArray[np.bool_]:
        """Which items the default part serves, bool (n_items,)."""
        rest = np.ones(len(self.signals.facts.users), np.bool_)
        for one in self.others:
            rest &= ~one.items
        return rest

    def _shares(self) -> list[tuple[Recommender, NDArray[np.bool_]]]:
        return [(self.default, self.rest), *((one.recommender, one.items) for one in self.others)]

    def _best(self, parts: Sequence[Ranked], n: int, per_category: int | None) -> Ranked:
        widest = max(len(part.signals.names) for part, _ in self._shares())
        wide = [np.pad(one.features, ((0, 0), (0, widest - one.features.shape[1]))) for one in parts]
        if len(parts) == 1:
            return Ranked(parts[0].found, wide[0])
        n_users = len(parts[0].found.indptr) - 1
        users = np.concatenate([np.repeat(np.arange(n_users), np.diff(one.found.indptr)) for one in parts])
        items = np.concatenate([one.found.items for one in parts])
        scores = np.concatenate([one.found.scores for one in parts])
        place = np.concatenate([np.arange(len(one.found.items)) for one in parts])
        order = np.lexsort((place, -scores, users))  # equal scores: as the parts have them
        kept = within_cap(order, users, self.signals.facts.category[items], n, per_category)
        features = np.concatenate(wide)[kept]
        ends = np.concatenate(([0], np.cumsum(np.bincount(users[kept], minlength=n_users)))).astype(np.int64)
        return Ranked(Candidates(ends, items[kept], scores[kept]), features)


def of_part(ranked: Ranked, part: Recommender, places: NDArray[np.intp]) -> Ranked:
    """Some rows of lists, as the part that serves them gave them."""
    found = ranked.found
    users = np.searchsorted(found.indptr, places, side="right") - 1
    ends = np.concatenate(([0], np.cumsum(np.bincount(users, minlength=len(found.indptr) - 1)))).astype(np.int64)
    width = len(part.signals.names)
    lists = replace(found, indptr=ends, items=found.items[places], scores=found.scores[places])
    return Ranked(lists, ranked.features[places, :width])
