"""Who an event is: its ``event_id``, or the hash of its row and its count among identical rows.

The hash depends on the values alone: not on the order of columns, on columns that are null, on the file format (an
attribute 1 of Parquet is the ``1`` and the ``1.0`` of CSV), or on the version of any library: BLAKE2b of every distinct
text, mixed by the finaliser of SplitMix64 (Steele et al. 2014).
"""

from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.schema import SCHEMAS

Hashes = NDArray[np.uint64]

_DECLARED = SCHEMAS[c.INTERACTIONS].declared
_NUMBER = r"^-?(0|[1-9]\d{0,14})(\.\d+)?([eE][+-]?\d{1,2})?$"
_EXACT_WHOLE = 2.0**53


def with_event_ids(interactions: pl.DataFrame) -> pl.DataFrame:
    """Fill ``event_id`` where it is null or the column is missing.

    Two identical rows of one frame are two events; the same rows in another frame get the same two ids.
    """
    if c.EVENT_ID not in interactions.columns:
        given = pl.Series(c.EVENT_ID, [None], dtype=pl.String).new_from_index(0, interactions.height)
    else:
        given = interactions[c.EVENT_ID]
        if given.null_count() == 0:
            return interactions
    missing = given.is_null()
    hashes = row_hashes(interactions.filter(missing).drop(c.EVENT_ID, strict=False))
    derived = pl.Series(c.EVENT_ID, _hex(hashes), dtype=pl.String) + _repeat_suffix(hashes)
    filled = derived if missing.all() else given.scatter(missing.arg_true(), derived)
    return interactions.with_columns(filled.alias(c.EVENT_ID))


def row_hashes(frame: pl.DataFrame) -> Hashes:
    """96-bit hash of every row, uint64 (n, 2), the second one below 2^32; nulls count as absent columns."""
    total = np.zeros((frame.height, 2), np.uint64)
    for name in frame.columns:
        values = frame[name]
        if values.null_count() == values.len():
            continue
        salt = _text_hash(name)
        if name not in _DECLARED:
            values = _plain_numbers(values)
        column = _mixed(_column_hashes(values) + salt)
        column[values.is_null().to_numpy()] = 0
        total += column
    total = _mixed(total)
    total[:, 1] &= np.uint64(0xFFFFFFFF)
    return total


def _plain_numbers(values: pl.Series) -> pl.Series:
    """An attribute as text, numbers in their shortest spelling, so that no format has its own."""
    texts = values.cast(pl.String)
    distinct = texts.drop_nulls().unique()
    numbers = distinct.filter(distinct.str.contains(_NUMBER))
    spelled = {text: _shortest(float(text)) for text in numbers}
    changed = {text: short for text, short in spelled.items() if text != short}
    return texts.replace(changed) if changed else texts


def _shortest(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < _EXACT_WHOLE else repr(number)


def _column_hashes(values: pl.Series) -> Hashes:
    """Hash of every cell, uint64 (n, 2); what stands at nulls does not matter."""
    if values.dtype.is_integer() or values.dtype == pl.Boolean:
        bits = values.cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64)
        return np.stack([bits, bits], axis=1)
    if values.dtype.is_float():
        bits = (values.cast(pl.Float64).fill_null(0.0).to_numpy() + 0.0).view(np.uint64)  # -0.0 is 0.0
        return np.stack([bits, bits], axis=1)
    distinct = values.drop_nulls().unique()
    table = np.array([_text_hash(text) for text in distinct], np.uint64).reshape(-1, 2)
    place = pl.DataFrame({"value": distinct, "place": np.arange(distinct.len(), dtype=np.uint32)})
    places = values.alias("value").to_frame().join(place, on="value", how="left", maintain_order="left")["place"]
    hashes: Hashes = table[places.fill_null(0).to_numpy()]
    return hashes


def _text_hash(text: str) -> Hashes:
    return np.frombuffer(blake2b(text.encode(), digest_size=16).digest(), "<u8").astype(np.uint64)


def _mixed(bits: Hashes) -> Hashes:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _hex(hashes: Hashes) -> list[str]:
    """24 digits a row."""
    digits = hashes.astype(">u8").tobytes().hex()
    return [digits[start : start + 16] + digits[start + 24 : start + 32] for start in range(0, len(digits), 32)]


def _repeat_suffix(hashes: Hashes) -> pl.Series:
    """``""`` for the first of identical rows, ``-2`` for the second, and so on."""
    frame = pl.DataFrame({"high": hashes[:, 0], "low": hashes[:, 1]})
    if not frame.is_duplicated().any():
        return pl.Series([""]).new_from_index(0, frame.height)
    count = frame.select(pl.int_range(1, pl.len() + 1).over("high", "low")).to_series()
    return pl.select(pl.when(count > 1).then(pl.format("-{}", count)).otherwise(pl.lit(""))).to_series()
