"""CSV and TSV: every cell is text, so that an id ``007`` stays ``007``; an empty cell is null.

Read by the standard library's parser: only row by row can a ragged row or a broken quote be told by its place.
"""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from kuapin.data.text_lines import decoded
from kuapin.errors import InputError

CHUNK_ROWS = 50_000

_FIELD_LIMIT = 2**31 - 1
_DIALECTS: dict[str, dict[str, Any]] = {
    "csv": {"delimiter": ","},
    "tsv": {"delimiter": "\t"},
    "atomic": {"delimiter": "\t", "quoting": csv.QUOTE_NONE},
}


def read(path: Path, lines: Iterable[bytes], kind: str, wanted: frozenset[str] | None) -> Iterator[pl.DataFrame]:
    """The table in chunks of rows.

    Args:
        path: for messages.
        lines: the file's lines.
        kind: ``csv``, ``tsv``, or ``atomic`` (tabs, and a quote is a character like any other).
        wanted: the columns to keep, ``None`` for all.

    Raises:
        InputError: ragged rows, broken quotes, repeated column names, another encoding.
    """
    with _parser(path, lines, kind) as parser:
        names = _header(path, next(parser, []), kind)
        kept = [place for place, name in enumerate(names) if wanted is None or name in wanted]
        rows = _whole_rows(path, parser, len(names))
        while chunk := list(islice(rows, CHUNK_ROWS)):
            cells = list(zip(*chunk, strict=True))
            frame = pl.DataFrame({names[place]: pl.Series(cells[place], dtype=pl.String) for place in kept})
            yield frame.with_columns(pl.all().replace("", None))


def header(path: Path, lines: Iterable[bytes], kind: str) -> list[str]:
    """The column names."""
    with _parser(path, lines, kind) as parser:
        return _header(path, next(parser, []), kind)


@contextmanager
def _parser(path: Path, lines: Iterable[bytes], kind: str) -> Iterator[Any]:
    limit = csv.field_size_limit(_FIELD_LIMIT)
    parser = csv.reader(decoded(path, lines), strict=True, **_DIALECTS[kind])
    try:
        yield parser
    except csv.Error as error:
        raise InputError(
            f"{path.name} line {parser.line_num}: the quoting is broken ({error}). "
            'Write a quote inside a quoted field as "".'
        ) from error
    finally:
        csv.field_size_limit(limit)


def _whole_rows(path: Path, parser: Any, width: int) -> Iterator[list[str]]:
    for number, cells in enumerate((cells for cells in parser if cells), 1):
        if len(cells) != width:
            raise InputError(
                f"{path.name} row {number} (line {parser.line_num}): {len(cells)} fields came, the header has {width}. "
                "Quote a field that holds the separator, or complete the row."
            )
        yield cells


def _header(path: Path, cells: list[str], kind: str) -> list[str]:
    if not cells:
        raise InputError(f"{path.name} is an empty table. Give a file with a header and at least one row.")
    if len(cells) == 1 and kind == "csv" and any(mark in cells[0] for mark in ";\t|"):
        raise InputError(
            f"{path.name} line 1: the header {cells[0][:60]!r} holds no comma. Separate the fields by commas, "
            "or by tabs in a file named .tsv."
        )
    names = [cell or f"column_{place}" for place, cell in enumerate(cells, 1)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path.name} line 1: the column {repeated[0]} comes twice. Rename or drop one of them.")
    return names
