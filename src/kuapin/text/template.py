"""An item as one text: a template over its attributes, cleaned, cut and masked."""

import re
import warnings
from collections.abc import Iterator
from typing import Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kuapin import columns as c
from kuapin.data.schema import SCHEMAS
from kuapin.names import offered
from kuapin.text.masking import mask

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TITLE = f"{{{c.TITLE}}}"
_FALLBACK = (c.DESCRIPTION, c.CATEGORY, c.BRAND)
"""What speaks for an item that the template has no words for, in this order."""


class TextConfig(BaseModel):
    """How an item becomes a text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str = Field(
        "{title}, {category}, {brand}",
        description="Columns of the items table in braces; a column that an item lacks drops out with the separator "
        "before it.",
    )
    title_weight: float = Field(
        0.5,
        ge=0,
        le=4,
        description="The title is encoded once more by itself, and its vector added with this weight to that of the "
        "text; 0: the text alone.",
    )
    max_characters: int = Field(
        1000, ge=16, le=100_000, description="Longest text, characters; the rest is cut off, after masking."
    )

    @model_validator(mode="after")
    def _has_a_column(self) -> Self:
        if not _PLACEHOLDER.search(self.template):
            raise ValueError(f"template {self.template!r} names no column; write one in braces, such as {{title}}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the template names, in its order."""
        return tuple(_PLACEHOLDER.findall(self.template))

    @property
    def title_alone(self) -> Self | None:
        """How the title by itself becomes a text; ``None`` where it is not read apart."""
        if self.title_weight == 0 or c.TITLE not in self.columns or self.template == _TITLE:
            return None
        return self.model_copy(update={"template": _TITLE, "title_weight": 0.0})


def render(items: pl.DataFrame, config: TextConfig) -> pl.Series:
    """The masked text of every item, in the order of the rows; never null, empty only where an item has no words.

    Control characters (NUL among them) and runs of white space become one space; emoji and scripts of either
    direction stay. A category path reads from its leaf to its root: ``Serum, Skin care, Beauty``. Lists are joined by
    commas. Items whose title is missing are counted in one warning, where the template asks for titles.

    Args:
        items: the items table; columns that it lacks drop out for all items.
        config: template and longest text.
    """
    # Ten times the final length is more than enough to fill it, and bounds the work on a title of 100 KB
    readable = {name: _readable(items, name, 10 * config.max_characters) for name in {*config.columns, *_FALLBACK}}
    frame = items.select(expression.alias(name) for name, expression in readable.items())
    _warn_of_unknown_columns(items, config)
    if c.TITLE in config.columns:
        _warn_of_missing_titles(frame)
    text = frame.select(_filled(config.template).alias(c.TEXT))[c.TEXT]
    if (text == "").any():
        spare = frame.select(pl.concat_str(_FALLBACK, separator=", ", ignore_nulls=True).alias(c.TEXT))[c.TEXT]
        text = text.zip_with(text != "", spare)
    return mask(text).str.slice(0, config.max_characters).str.strip_chars_end().alias(c.TEXT)


def render_titles(items: pl.DataFrame, config: TextConfig) -> pl.Series:
    """The masked title of every item by itself, in the order of the rows; empty where it has none.

    Args:
        items: the items table.
        config: longest text; the template is not read.
    """
    titled = items.select(_readable(items, c.TITLE, 10 * config.max_characters).alias(c.TITLE))[c.TITLE].is_not_null()
    alone = render(items.filter(titled), config.model_copy(update={"template": _TITLE}))
    return pl.Series(c.TEXT, [""] * items.height, dtype=pl.String).scatter(titled.arg_true(), alone)


def _readable(items: pl.DataFrame, name: str, longest: int) -> pl.Expr:
    """A column as clean text; null where there is nothing to read."""
    if name not in items.columns:
        return pl.repeat(None, pl.len(), dtype=pl.String)  # a literal would be one row where no column is there
    column = pl.col(name)
    dtype = items.schema[name]
    if isinstance(dtype, pl.List | pl.Array):
        column = column.cast(pl.List(pl.String)).list.join(", ", ignore_nulls=True)
    column = column.cast(pl.String).str.slice(0, longest)
    if name == c.CATEGORY:
        steps = column.str.split(c.CATEGORY_SEPARATOR.strip()).list.eval(pl.element().str.strip_chars())
        column = steps.list.eval(pl.element().filter(pl.element() != "")).list.reverse().list.join(", ")
        column = pl.when(pl.col(name) != c.NO_CATEGORY).then(column)
    column = column.str.replace_all(r"[\p{Cc}\s]+", " ").str.strip_chars()
    return pl.when(column != "").then(column)


def _filled(template: str) -> pl.Expr:
    """The template with its columns filled in; a missing column takes the words before it along.

    Words before the first column that an item has are kept only if they open the template.
    """
    text, seen = pl.lit(""), pl.lit(value=False)
    for place, (words, name) in enumerate(_parts(template)):
        value = pl.col(name)
        between = pl.lit(words) if place == 0 else pl.when(seen).then(pl.lit(words)).otherwise(pl.lit(""))
        text = text + pl.when(value.is_not_null()).then(between + value).otherwise(pl.lit(""))
        seen = seen | value.is_not_null()
    return text + pl.when(seen).then(pl.lit(_PLACEHOLDER.split(template)[-1])).otherwise(pl.lit(""))


def _parts(template: str) -> Iterator[tuple[str, str]]:
    """Pairs of the words before a column and the column's name."""
    pieces = _PLACEHOLDER.split(template)
    return zip(pieces[0:-1:2], pieces[1::2], strict=True)


def _warn_of_unknown_columns(items: pl.DataFrame, config: TextConfig) -> None:
    declared = {column.name for column in SCHEMAS[c.ITEMS].columns}
    unknown = [name for name in config.columns if name not in items.columns and name not in declared]
    if unknown and items.height:
        warnings.warn(
            f"text.template names {unknown[0]!r}, which no item has. {offered(unknown[0], items.columns, 'columns')}",
            stacklevel=3,
        )


def _warn_of_missing_titles(frame: pl.DataFrame) -> None:
    missing = frame[c.TITLE].null_count()
    if missing:
        warnings.warn(
            f"items: {missing:,} of {frame.height:,} have no title; their text comes from their other attributes.",
            stacklevel=3,
        )
