"""Finding users and items by a part of what they are called."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.model import Model

FOUND = 12


class Search:
    """Looks through the users and items of one release.

    Args:
        model: the release.
        gone: whether a user was erased since it was loaded.
    """

    def __init__(self, model: Model, gone: Callable[[str], bool]) -> None:
        self.model, self._gone = model, gone

    def users(self, text: str, n: int = FOUND) -> list[str]:
        """Ids of users that hold a text: the same, then those that begin with it, then the others."""
        ids = self.model.users.ids
        if not text:
            return []
        found = ids.filter(ids.str.to_lowercase().str.contains(text.lower(), literal=True))
        ranked = found.to_frame("id").sort(
            pl.col("id") != text,
            ~pl.col("id").str.to_lowercase().str.starts_with(text.lower()),
            pl.col("id").str.len_chars(),
            "id",
        )
        return list(islice(self._there(ranked["id"]), n))

    def items(self, text: str, n: int = FOUND) -> list[str]:
        """Ids of items whose title, brand, shelf or id has all of the words; the most met first."""
        words = text.lower().split()
        if not words:
            return self.popular[:n]
        mask = pl.Series([True]).new_from_index(0, len(self.model.catalogue))
        for word in words:
            mask &= self._texts.str.contains(word, literal=True)
        rows = np.flatnonzero(mask.to_numpy() & self.model.catalogue.available)
        best = rows[np.argsort(-self._met[rows], kind="stable")][:n]
        return [self.model.catalogue.items.id(int(row)) for row in best]

    @cached_property
    def popular(self) -> list[str]:
        """Items to begin with: the most met of every category, the greatest categories first."""
        catalogue, met = self.model.catalogue, np.where(self.model.catalogue.available, self._met, 0)
        total = np.bincount(catalogue.category, weights=met, minlength=len(catalogue.categories))
        firsts = []
        for code in np.argsort(-total, kind="stable"):
            rows = np.flatnonzero(catalogue.category == code)
            if len(rows) and total[code] > 0:
                firsts.append(catalogue.items.id(int(rows[np.argmax(met[rows])])))
        return firsts

    @property
    def busy(self) -> list[str]:
        """Users to begin with: some of those with a history of middling length, always the same."""
        return list(self._there(self._busy))

    def _there(self, users: Iterable[str]) -> Iterator[str]:
        return (user for user in users if not self._gone(user))

    @cached_property
    def _busy(self) -> list[str]:
        lengths = self.model.histories.lengths
        known = np.flatnonzero(lengths > 0)
        order = known[np.argsort(lengths[known], kind="stable")]
        if not len(order):
            return []
        places = np.unique(np.linspace(0, len(order) - 1, 7).astype(int)[1:-1])
        return [self.model.users.id(int(order[place])) for place in places]

    @cached_property
    def _texts(self) -> pl.Series:
        frame = self.model.catalogue.frame
        told = [name for name in (c.TITLE, c.BRAND, c.CATEGORY, c.ITEM_ID) if name in frame.columns]
        return frame.select(pl.concat_str(told, separator=" ", ignore_nulls=True).str.to_lowercase().alias("t"))["t"]

    @cached_property
    def _met(self) -> NDArray[np.intp]:
        return np.bincount(self.model.histories.items, minlength=len(self.model.catalogue))
