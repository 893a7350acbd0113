"""The items of a category that opens: what they must be before anything is done with them."""

import warnings

import polars as pl

from kuapin import columns as c
from kuapin.counts import counted
from kuapin.data.dataset import category_paths, top_level
from kuapin.errors import InputError
from kuapin.text.template import TextConfig, render
from kuapin.workspace import CheckedItems

LEAST_ITEMS = 2
MARK = c.CATEGORY_SEPARATOR.strip()


def new_items(checked: CheckedItems, category: str, shop_items: pl.DataFrame, text: TextConfig) -> pl.DataFrame:
    """The items with the category filled in where they have none.

    Args:
        checked: the file.
        category: top-level category that opens.
        shop_items: the shop's items table. Items of the category may be in it that came with this very file, as after
            an interruption; no others.
        text: how an item becomes a text.

    Raises:
        InputError: the shop has the category or an item of another one already, or fewer than two categories; an item
            belongs elsewhere or has no text; there is one item alone.
    """
    frame, file = checked.frame, checked.file
    check_category(category, frame, shop_items)
    paths = category_paths(frame)
    paths = paths.set(paths == c.NO_CATEGORY, category)
    elsewhere = top_level(paths) != category
    if elsewhere.any():
        raise InputError(
            f"{file}: item {_first(frame[c.ITEM_ID], elsewhere)!r} is in {_first(paths, elsewhere)!r}, and what opens "
            f"is {category!r}{_more(elsewhere)}. Give items of this category alone, or items without one."
        )
    if frame.height < LEAST_ITEMS:
        raise InputError(f"{file} has one item; a category has at least {LEAST_ITEMS}. Add items.")
    known = frame[c.ITEM_ID].is_in(shop_items[c.ITEM_ID].implode()) & ~frame[c.ITEM_ID].is_in(
        _inside(shop_items, category)[c.ITEM_ID].implode()
    )
    if known.any():
        raise InputError(
            f"{file}: the shop has item {_first(frame[c.ITEM_ID], known)!r} already, in another category"
            f"{_more(known)}. Leave it out; kuapin import moves items."
        )
    named = frame.with_columns(paths.alias(c.CATEGORY))
    own = named.with_columns(pl.when(pl.col(c.CATEGORY) != category).then(pl.col(c.CATEGORY)).alias(c.CATEGORY))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missing titles are told when the catalogue is read
        dumb = render(own, text) == ""
    if dumb.any():
        raise InputError(
            f"{file}: item {_first(frame[c.ITEM_ID], dumb)!r} has no text{_more(dumb)}; a new item is known by its "
            "text alone. Give it a title, or leave it out."
        )
    return named


def check_category(category: str, frame: pl.DataFrame, shop_items: pl.DataFrame) -> None:
    """Raise ``InputError`` unless the category can open in this shop.

    Args:
        category: its name.
        frame: the items that it opens with.
        shop_items: the shop's items table.
    """
    if not category.strip() or MARK in category or category == c.NO_CATEGORY or category != category.strip():
        raise InputError(
            f"--category is {category!r}; what opens is one top-level category with a name, such as Garden. Paths "
            "below it stand in the items' own column."
        )
    tops = top_level(category_paths(shop_items))
    alike = (tops.str.to_lowercase() == category.lower()) & ~shop_items[c.ITEM_ID].is_in(frame[c.ITEM_ID].implode())
    if alike.any():
        raise InputError(
            f"The shop has a category {_first(tops, alike)!r} already, with {counted(int(alike.sum()), 'item')}. "
            "Choose another name, or add to it: kuapin import SHOP --items FILE"
        )
    others = tops.filter(tops != category).unique()
    if others.len() < 2:
        there = f"one category, {others[0]!r}" if others.len() else "no items"
        raise InputError(
            f"The shop has {there}; what to expect of a new category is measured on at least two others. Import more, "
            "or items with a category: kuapin import SHOP --items FILE"
        )


def _inside(shop_items: pl.DataFrame, category: str) -> pl.DataFrame:
    return shop_items.filter(top_level(category_paths(shop_items)) == category)


def _first(values: pl.Series, mask: pl.Series) -> str:
    return str(values.filter(mask)[0])


def _more(mask: pl.Series) -> str:
    count = int(mask.sum())
    return f" ({counted(count, 'item')} in all)" if count > 1 else ""
