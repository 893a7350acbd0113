"""A shop's tables as arrays: what everything behind the public edge works on."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.histories import Histories, from_interactions
from kuapin.data.vocabulary import Vocabulary

T = TypeVar("T", bound=np.generic)
NOT_AN_ANSWER = ("search", "impression")
"""Events that do not show that a user wanted the item. The store keeps them; ``build_dataset`` takes none of them into
a history, so that nothing that was merely shown or looked for counts as met. All others do, ``redeem`` included."""


@dataclass(frozen=True)
class Catalogue:
    """The item table as arrays; every array has shape (n_items,).

    Attributes:
        frame: the items table in row order, as it was read.
        items: item_id ↔ row.
        category: int32 code of the top-level category, an index into ``categories``.
        leaf: int32 code of the whole category path, an index into ``leaves``.
        brand: int32 code, an index into ``brands``; -1 where there is none.
        price: float32; NaN where unknown.
        available: bool; true where the table does not say.
        relations: what the shop says of items, head, relation and tail, none of them a person; ``None``: nothing.
    """

    frame: pl.DataFrame
    items: Vocabulary
    category: NDArray[np.int32]
    categories: tuple[str, ...]
    leaf: NDArray[np.int32]
    leaves: tuple[str, ...]
    brand: NDArray[np.int32]
    brands: tuple[str, ...]
    price: NDArray[np.float32]
    available: NDArray[np.bool_]
    relations: pl.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.items)

    def title(self, row: int) -> str | None:
        """An item's title, as the table has it; ``None``: it has none."""
        title = self.frame[c.TITLE][row] if c.TITLE in self.frame.columns else None
        return None if title is None else str(title)

    def described(self, rows: NDArray[np.integer]) -> pl.DataFrame:
        """What people know items by: item_id, title, brand and top-level category, null where unknown."""
        frame = self.frame[rows]
        top = pl.Series(c.CATEGORY, [self.categories[code] for code in self.category[rows]], dtype=pl.String)
        said = (
            frame[name] if name in frame.columns else pl.lit(None, pl.String).alias(name) for name in (c.TITLE, c.BRAND)
        )
        return frame.select(c.ITEM_ID, *said, top)

    def with_items(self, new: pl.DataFrame) -> tuple["Catalogue", NDArray[np.int32]]:
        """The catalogue with more items, and others in place of those with the same id; codes stay what they are.

        Args:
            new: with ``item_id``, distinct; columns that it lacks are unknown of these items.

        Returns:
            The catalogue, and the row of every new item, int32 (k,).
        """
        place = self.items.rows(new[c.ITEM_ID])
        fresh = place < 0
        rows = place.copy()
        rows[fresh] = np.arange(len(self), len(self) + int(fresh.sum()))
        frame = pl.concat(
            [self.frame, new.select(name for name in new.columns if name in self.frame.columns)], how="diagonal_relaxed"
        )
        order = np.arange(len(self) + int(fresh.sum()))
        order[rows] = np.arange(len(self), frame.height)
        frame = frame[order]
        other = build_catalogue(new)
        category, categories = _recoded(other.category, other.categories, self.categories)
        leaf, leaves = _recoded(other.leaf, other.leaves, self.leaves)
        brand, brands = _recoded(other.brand, other.brands, self.brands)
        vocabulary = Vocabulary(frame[c.ITEM_ID], "item")
        return Catalogue(
            frame,
            vocabulary,
            _put(self.category, rows, category),
            categories,
            _put(self.leaf, rows, leaf),
            leaves,
            _put(self.brand, rows, brand),
            brands,
            _put(self.price, rows, other.price),
            _put(self.available, rows, other.available),
        ), rows


def _recoded(
    codes: NDArray[np.int32], names: tuple[str, ...], old: tuple[str, ...]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Codes on the list of old names, with names that are new behind them."""
    known = {name: code for code, name in enumerate(old)}
    more = tuple(name for name in names if name not in known)
    known |= {name: len(old) + code for code, name in enumerate(more)}
    table = np.array([*(known[name] for name in names), -1], np.int32)
    return table[codes], old + more


def _put(old: NDArray[T], rows: NDArray[np.int32], values: NDArray[T]) -> NDArray[T]:
    whole = np.empty(max(len(old), int(rows.max(initial=-1)) + 1), old.dtype)
    whole[: len(old)] = old
    whole[rows] = values
    return whole


@dataclass(frozen=True)
class Dataset:
    """One snapshot of a shop: its catalogue, its users and what they did."""

    catalogue: Catalogue
    users: Vocabulary
    histories: Histories


def category_paths(items: pl.DataFrame) -> pl.Series:
    """The category path of every item; ``(none)`` where it is missing or blank."""
    if c.CATEGORY not in items.columns:
        return pl.Series(c.CATEGORY, [c.NO_CATEGORY] * items.height, dtype=pl.String)
    path = items[c.CATEGORY].cast(pl.String)
    blank = path.is_null() | (path.str.strip_chars() == "")
    return path.set(blank, c.NO_CATEGORY)


def top_level(paths: pl.Series) -> pl.Series:
    """The first step of every category path."""
    return paths.str.split(c.CATEGORY_SEPARATOR.strip()).list.first().str.strip_chars()


def _codes(values: pl.Series) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Codes in alphabetical order of the names, so that they do not depend on the order of the rows; -1 for null."""
    names = values.drop_nulls().unique().sort()
    return Vocabulary(names, values.name).rows(values), tuple(names)


def build_catalogue(items: pl.DataFrame) -> Catalogue:
    """The items table (validated) as arrays, in the order of its rows."""
    paths = category_paths(items)
    category, categories = _codes(top_level(paths))
    leaf, leaves = _codes(paths)
    if c.BRAND in items.columns:
        brand_names = items[c.BRAND].cast(pl.String).str.strip_chars()
        brand, brands = _codes(brand_names.set(brand_names == "", None))
    else:
        brand, brands = np.full(items.height, -1, np.int32), ()
    price = (
        items[c.PRICE].cast(pl.Float32).fill_null(float("nan")).to_numpy().astype(np.float32)
        if c.PRICE in items.columns
        else np.full(items.height, np.nan, np.float32)
    )
    available = (
        items[c.AVAILABLE].cast(pl.Boolean).fill_null(value=True).to_numpy().astype(np.bool_)
        if c.AVAILABLE in items.columns
        else np.ones(items.height, np.bool_)
    )
    vocabulary = Vocabulary(items[c.ITEM_ID], "item")
    return Catalogue(items, vocabulary, category, categories, leaf, leaves, brand, brands, price, available)


def build_dataset(items: pl.DataFrame, interactions: pl.DataFrame, users: pl.DataFrame | None = None) -> Dataset:
    """Arrays from validated tables.

    Args:
        items: the items table; row order becomes the item rows.
        interactions: with ``user_id``, ``item_id`` and, optionally, ``timestamp`` (int64 seconds) and ``event``.
            Rows without an item, with an unknown item, or of an event that does not show that the user wanted it
            (``NOT_AN_ANSWER``: impressions, searches) are left out here; the store keeps them.
        users: users that must be known although they may have done nothing.

    Users are in alphabetical order of their ids. Without any time the log is order-free: ``histories.timed`` is
    false and the order of the rows stands for time.
    """
    catalogue = build_catalogue(items)
    user_ids = interactions[c.USER_ID]
    if users is not None:
        user_ids = pl.concat([user_ids, users[c.USER_ID]])
    vocabulary = Vocabulary(user_ids.drop_nulls().unique().sort(), "user")
    if c.EVENT in interactions.columns:
        interactions = interactions.filter(~pl.col(c.EVENT).is_in(NOT_AN_ANSWER).fill_null(value=False))
    timed = c.TIMESTAMP in interactions.columns and interactions[c.TIMESTAMP].null_count() == 0
    times = (
        interactions[c.TIMESTAMP].cast(pl.Int64).to_numpy() if timed else np.arange(interactions.height, dtype=np.int64)
    )
    events = np.full(interactions.height, c.EVENTS.index("view"), np.uint8)
    if c.EVENT in interactions.columns:
        code = Vocabulary(c.EVENTS, "event").rows(interactions[c.EVENT])
        events = np.where(code >= 0, code, events).astype(np.uint8)
    histories = from_interactions(
        vocabulary.rows(interactions[c.USER_ID]),
        catalogue.items.rows(interactions[c.ITEM_ID]),
        times,
        events,
        n_users=len(vocabulary),
        n_items=len(catalogue),
        timed=timed,
    )
    return Dataset(catalogue, vocabulary, histories)
