"""Cells of any format to the dtype that the schema declares; a cell that cannot be read is marked, never guessed."""

import json
import re

import polars as pl

from kuapin import columns as c
from kuapin.data.schema import DTYPES, Kind
from kuapin.data.stacking import as_text

_ISO_8601 = r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,]\d+)?)?)? ?(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?$"
_NUMBER = r"^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$"
_TRUE = ("true", "t", "yes", "y", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "0", "0.0")
_EXACT_WHOLE = 2.0**53


def parse(values: pl.Series, kind: Kind) -> tuple[pl.Series, pl.Series]:
    """One column in its declared dtype.

    Args:
        values: the cells as a reader gave them, shape (n,).
        kind: what the column holds.

    Returns:
        The parsed cells (``schema.DTYPES``; null where missing or unreadable), and a boolean mask of the cells that
        hold something unreadable. Both keep the name of ``values``.
    """
    if values.dtype == pl.Null:
        return pl.Series(values.name, [None] * values.len(), dtype=DTYPES[kind]), _nowhere(values)
    if values.dtype.is_float():
        values = values.fill_nan(None)
    if kind is Kind.ID:
        return _ids(values)
    if kind is Kind.PATH and isinstance(values.dtype, pl.List) and not values.dtype.inner.is_nested():
        return values.cast(pl.List(pl.String)).list.join(c.CATEGORY_SEPARATOR), _nowhere(values)
    if kind in (Kind.TEXT, Kind.PATH):
        return as_text(values), _nowhere(values)
    if kind is Kind.IDS:
        return _id_lists(values)
    if kind is Kind.FLAG:
        return _flags(values)
    if kind is Kind.TIME:
        return _times(values)
    return _numbers(values, DTYPES[kind])


def attribute(values: pl.Series) -> pl.Series:
    """An undeclared column in one of four dtypes: Int64, Float64, Boolean or text."""
    dtype = values.dtype
    if dtype in (pl.Boolean, pl.Null):
        return values
    if dtype.is_integer() and dtype != pl.UInt64:
        return values.cast(pl.Int64)
    if dtype.is_float() or dtype.is_decimal():
        return values.cast(pl.Float64).fill_nan(None)
    return as_text(values)


def is_mixed_time(values: pl.Series) -> bool:
    """Whether a column of texts holds numbers in some rows and ISO 8601 times in others."""
    if values.dtype != pl.String:
        return False
    known = values.drop_nulls()
    return bool(known.str.contains(_NUMBER).any() and known.str.contains(_ISO_8601).any())


def is_number(value: object) -> bool:
    """Whether a cell of a column of times is read as unix seconds."""
    return isinstance(value, int | float) or (isinstance(value, str) and bool(re.match(_NUMBER, value.strip())))


def _nowhere(values: pl.Series) -> pl.Series:
    return pl.Series(values.name, [False], dtype=pl.Boolean).new_from_index(0, values.len())


def _unread(values: pl.Series, parsed: pl.Series) -> tuple[pl.Series, pl.Series]:
    return parsed, values.is_not_null() & parsed.is_null()


def _ids(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Ids keep every character; an empty one is none. Whole floats come from tables that had nulls beside integers."""
    if values.dtype == pl.String:
        return _blank_as_null(values), _nowhere(values)
    if values.dtype.is_float():
        whole = (values == values.floor()) & (values.abs() <= _EXACT_WHOLE)
        return _unread(values, values.set(~whole.fill_null(value=True), None).cast(pl.Int64).cast(pl.String))
    if values.dtype.is_nested():
        return _unread(values, pl.Series(values.name, [None] * values.len(), dtype=pl.String))
    return _unread(values, as_text(values))


def _blank_as_null(values: pl.Series) -> pl.Series:
    empty = values == ""
    return values.set(empty, None) if empty.any() else values


def _id_lists(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Lists of ids; in text a JSON array, or ids separated by ``|``."""
    dtype = DTYPES[Kind.IDS]
    if isinstance(values.dtype, pl.List):
        return values.cast(dtype), _nowhere(values)
    texts = _blank_as_null(as_text(values))
    arrays = texts.str.starts_with("[").fill_null(value=False)
    decoded = pl.Series(
        values.name,
        [_json_ids(text) if array else None for text, array in zip(texts, arrays, strict=True)],
        dtype=dtype,
    )
    return _unread(texts, texts.str.split("|").zip_with(~arrays, decoded))


def _json_ids(text: str) -> list[str] | None:
    try:
        ids = json.loads(text)
    except ValueError:
        return None
    return [cell if isinstance(cell, str) else json.dumps(cell) for cell in ids]


def _flags(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    if values.dtype == pl.Boolean:
        return values, _nowhere(values)
    words = _blank_as_null(as_text(values).str.strip_chars().str.to_lowercase())
    read = words.replace_strict(dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False), default=None)
    return _unread(words, read.cast(pl.Boolean))


def _numbers(values: pl.Series, dtype: pl.DataType) -> tuple[pl.Series, pl.Series]:
    if values.dtype == pl.String:
        values = _blank_as_null(values.str.strip_chars())
    if values.dtype.is_nested() or values.dtype.is_temporal() or values.dtype == pl.Boolean:
        return _unread(values, pl.Series(values.name, [None] * values.len(), dtype=dtype))
    read = values.cast(pl.Float64, strict=False).fill_nan(None)
    read = read.set(read.is_infinite().fill_null(value=False), None)
    if dtype == pl.Int64:
        read = read.set((read != read.floor()).fill_null(value=False), None).cast(pl.Int64, strict=False)
    return _unread(values, read)


def _times(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Unix seconds (UTC, fractions cut) from numbers, dates, datetimes, or texts of either; no zone means UTC."""
    if values.dtype in (pl.Datetime, pl.Date):
        moments = values.cast(pl.Datetime("us")) if values.dtype == pl.Date else values
        return moments.dt.epoch("s").cast(pl.Int64), _nowhere(values)
    if values.dtype != pl.String:
        read, bad = _numbers(values, pl.Float64())
        return read.floor().cast(pl.Int64, strict=False), bad
    texts = _blank_as_null(values.str.strip_chars())
    numbers = texts.str.contains(_NUMBER).fill_null(value=False)
    seconds = texts.set(~numbers, None).cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False)
    return _unread(texts, seconds if numbers.all() else seconds.zip_with(numbers, _iso_seconds(texts)))


def _iso_seconds(texts: pl.Series) -> pl.Series:
    name = texts.name
    day, clock, second, zone = (pl.col("parts").struct.field(str(part)) for part in range(1, 5))
    moment = pl.concat_str([day, pl.lit(" "), clock.fill_null("00:00"), pl.lit(":"), second.fill_null("00")])
    digits = zone.str.replace(":", "").str.slice(1).str.pad_end(4, "0")
    minutes = digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(2, 2).cast(
        pl.Int64, strict=False
    )
    east = pl.when(zone.str.starts_with("-")).then(-minutes).otherwise(minutes)
    return (
        texts.alias("text")
        .to_frame()
        .select(parts=pl.col("text").str.extract_groups(_ISO_8601))
        .select(
            moment.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False).dt.epoch("s")
            - pl.when(zone.is_null() | zone.is_in(["Z", "z", "UTC"])).then(0).otherwise(east * 60)
        )
        .to_series()
        .alias(name)
    )
