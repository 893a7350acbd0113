"""JSON Lines, one object a line; a file with one JSON array of objects is read as well.

Read by the standard library's parser: ids keep every digit, and a fault is known by its row.
"""

import ast
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from kuapin.data.text_lines import decoded
from kuapin.errors import InputError

CHUNK_ROWS = 50_000

Row = dict[str, Any]

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def parse_json(text: str) -> Any:
    """One JSON value; ``NaN`` and infinities are null.

    Raises:
        ValueError: it is not JSON.
    """
    return _DECODER.decode(text)


def json_or_literal(text: str) -> Any:
    """One line of JSON, or of a Python literal, which some published files hold; it is read, never run.

    Raises:
        ValueError: it is neither.
    """
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise error from None


def read(
    path: Path,
    lines: Iterable[bytes],
    wanted: frozenset[str] | None,
    parse: Callable[[str], Any] = parse_json,
) -> Iterator[pl.DataFrame]:
    """The table in chunks of rows; a key that a row lacks is null there.

    Args:
        path: for messages.
        lines: the file's lines.
        wanted: the keys to keep, ``None`` for all.
        parse: one line of text to an object; raises ``ValueError`` where it is none.

    Raises:
        InputError: a row that is not an object, or another encoding.
    """
    rows = _rows(path, lines, parse)
    first = 1
    while chunk := list(islice(rows, CHUNK_ROWS)):
        names = dict.fromkeys(name for row in chunk for name in row if wanted is None or name in wanted)
        yield pl.DataFrame([_series(path, name, [row.get(name) for row in chunk], first) for name in names])
        first += len(chunk)


def keys(path: Path, lines: Iterable[bytes]) -> list[str]:
    """The keys of the first row; none where there is no row."""
    return list(next(_rows(path, lines, json_or_literal), {}))


def _rows(path: Path, lines: Iterable[bytes], parse: Callable[[str], Any]) -> Iterator[Row]:
    texts = (text for text in decoded(path, lines) if text.strip())
    first = next(texts, "")
    if first.lstrip().startswith("["):
        yield from _array(path, first + "".join(texts))
        return
    number = 0
    while first:
        number += 1
        try:
            row = parse(first)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path.name} row {number}: not valid JSON ({error}). Write one object a line.") from error
        yield _object(path, number, row)
        first = next(texts, "")


def _array(path: Path, text: str) -> Iterator[Row]:
    try:
        rows = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not valid JSON ({error}). Write one object a line.") from error
    for number, row in enumerate(rows, 1):
        yield _object(path, number, row)


def _object(path: Path, number: int, row: object) -> Row:
    if not isinstance(row, dict):
        raise InputError(f"{path.name} row {number}: a JSON object was expected, {str(row)[:60]!r} came.")
    return row


def _series(path: Path, name: str, values: list[Any], first: int) -> pl.Series:
    """One column with the narrowest dtype that keeps every value; text where they are mixed."""
    types = {type(value) for value in values if value is not None}
    try:
        if not types:
            return pl.Series(name, values, dtype=pl.Null)
        if types == {bool}:
            return pl.Series(name, values, dtype=pl.Boolean)
        if types == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
            return pl.Series(name, values, dtype=pl.Int64)
        if types <= {int, float} and float in types:
            return pl.Series(name, values, dtype=pl.Float64)
        if types == {list} and not any(isinstance(cell, dict | list) for value in values for cell in value or ()):
            texts = [None if value is None else [_text(cell) for cell in value] for value in values]
            return pl.Series(name, texts, dtype=pl.List(pl.String))
        return pl.Series(name, [_text(value) for value in values], dtype=pl.String)
    except UnicodeEncodeError as error:
        row = first + next(place for place, value in enumerate(values) if not _encodes(value))
        raise InputError(
            f"{path.name} row {row}: {name} holds half a character (a lone surrogate). Write it as whole UTF-8."
        ) from error


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _encodes(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
