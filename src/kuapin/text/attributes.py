"""Columns that a shop gave its items beside those of every shop: which of them are attributes, and what they say."""

from collections.abc import Collection, Iterator

import polars as pl

from kuapin import columns as c
from kuapin.data.schema import SCHEMAS
from kuapin.text.masking import mask

LONGEST = 80
"""Characters of a value; what is longer is a text, and no attribute."""


def with_attributes(items: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
    """The items without those columns of the shop's own that are not named, in capital or small letters."""
    declared, named = SCHEMAS[c.ITEMS].declared, {name.casefold() for name in names}
    return items.select(name for name in items.columns if name in declared or name.casefold() in named)


def attributes(items: pl.DataFrame) -> Iterator[pl.Series]:
    """The shop's own text columns, with personal data replaced; null where a value is too long."""
    for name in items.columns:
        if name not in SCHEMAS[c.ITEMS].declared and items.schema[name] in (pl.String, pl.Categorical):
            values = items[name].cast(pl.String)
            yield mask(values.set(values.str.len_chars() > LONGEST, None))
