"""Frames of one table under each other, although one may have columns or dtypes that another has not."""

import json
from collections.abc import Sequence

import polars as pl


def stack(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all frames in order.

    A column that a frame lacks is null there. Where dtypes differ, whole numbers beside floats become floats and
    anything else becomes text, so that no value is lost.
    """
    if len(frames) == 1:
        return frames[0]
    dtypes: dict[str, pl.DataType] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            dtypes[name] = _common(dtypes.get(name, dtype), dtype)
    return pl.concat([_shaped(frame, dtypes) for frame in frames], how="vertical")


def _common(one: pl.DataType, other: pl.DataType) -> pl.DataType:
    if one == other or other == pl.Null:
        return one
    if one == pl.Null:
        return other
    if one.is_numeric() and other.is_numeric():
        return pl.Int64() if one.is_integer() and other.is_integer() else pl.Float64()
    return pl.String()


def _shaped(frame: pl.DataFrame, dtypes: dict[str, pl.DataType]) -> pl.DataFrame:
    return frame.select(
        _cast(frame[name], dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in dtypes.items()
    )


def _cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    return values if values.dtype == dtype else as_text(values) if dtype == pl.String else values.cast(dtype)


def as_text(values: pl.Series) -> pl.Series:
    """Any column as text: NaN is null, lists are joined by commas, objects become JSON."""
    if values.dtype == pl.String:
        return values
    if values.dtype.is_float():
        return values.fill_nan(None).cast(pl.String)
    if isinstance(values.dtype, pl.List | pl.Array):
        inner = values.dtype.inner
        if inner is not None and not inner.is_nested():
            return values.cast(pl.List(pl.String)).list.join(", ")
    if values.dtype.is_nested():
        texts = [
            None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values.to_list()
        ]
        return pl.Series(values.name, texts, dtype=pl.String)
    if values.dtype == pl.Binary:
        return values.cast(pl.String, strict=False)
    return values.cast(pl.String)
