"""What a shop gives a language model to learn from: its texts, its log, its labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Dataset
from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.names import offered


@dataclass(frozen=True)
class Material:
    """All that an objective may read; nothing outside the chosen categories is in it.

    Attributes:
        dataset: the shop as arrays; items outside the chosen categories are there, but have no interactions.
        texts: the masked text of every item, in row order, as ``text.template.render`` gives it.
        titles: the masked title of every item by itself; empty where it has none.
        allowed: bool (n_items,), the items of the chosen categories.
        labels: the labels table (``item_id``, ``task``, ``label``); empty where the shop has none.
        log: the interactions of the chosen categories as rows, with ``user_id``, ``item_id``, ``event``, ``value`` and
            ``timestamp`` where the shop has them.
        seed: of every draw.
    """

    dataset: Dataset
    texts: tuple[str, ...]
    titles: tuple[str, ...]
    allowed: NDArray[np.bool_]
    labels: pl.DataFrame
    log: pl.DataFrame
    seed: int

    @property
    def histories(self) -> Histories:
        """What users did in the chosen categories."""
        return self.dataset.histories

    def rng(self, purpose: str) -> np.random.Generator:
        """The random numbers of one purpose, the same for the same seed."""
        return np.random.default_rng([self.seed, *purpose.encode()])

    def titles_as_texts(self) -> "Material":
        """The same with titles alone as texts, where an item has one."""
        return replace(self, texts=tuple(t or text for t, text in zip(self.titles, self.texts, strict=True)))

    @cached_property
    def text_codes(self) -> NDArray[np.int64]:
        """A number for every item's text, int64 (n_items,), equal where the texts are."""
        number: dict[str, int] = {}
        return np.array([number.setdefault(text, len(number)) for text in self.texts], dtype=np.int64)

    def text_rows(self) -> NDArray[np.int64]:
        """One item row for every distinct text of the chosen categories that has words, ascending."""
        seen: dict[str, int] = {}
        for row in np.flatnonzero(self.allowed):
            if self.texts[row]:
                seen.setdefault(self.texts[row], int(row))
        return np.array(list(seen.values()), dtype=np.int64)

    def names(self, rows: NDArray[np.integer]) -> list[str]:
        """The titles of some items; the texts of those that have none."""
        return [self.titles[row] or self.texts[row] for row in rows]

    def held_out_users(self, share: float) -> NDArray[np.bool_]:
        """Users who are in no training, bool (n_users,)."""
        return self.rng("users").random(len(self.histories)) < share

    def held_out_texts(self, rows: NDArray[np.integer], share: float) -> NDArray[np.bool_]:
        """Which of some items are in no training, bool (n,); items of one title, or of one text, stay together."""
        names = self.names(rows)
        number = {name: place for place, name in enumerate(dict.fromkeys(names))}
        out = self.rng("items").random(len(number)) < share
        return np.array([out[number[name]] for name in names], dtype=np.bool_)


def chosen_categories(dataset: Dataset, names: Sequence[str]) -> NDArray[np.bool_]:
    """The items of some top-level categories, bool (n_items,); of all where none is named.

    Raises:
        InputError: there is no such category.
    """
    catalogue = dataset.catalogue
    unknown = [name for name in names if name not in catalogue.categories]
    if unknown:
        raise InputError(
            f"There is no top-level category {unknown[0]!r} in this shop. "
            + offered(unknown[0], catalogue.categories, "top-level categories")
        )
    if not names:
        return np.ones(len(catalogue), np.bool_)
    codes = [catalogue.categories.index(name) for name in names]
    return np.isin(catalogue.category, codes)


def only(log: pl.DataFrame, item_ids: pl.Series) -> pl.DataFrame:
    """The rows of a log that are about some items."""
    return log.filter(pl.col(c.ITEM_ID).is_in(item_ids.implode()))
