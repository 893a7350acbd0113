"""One file to one table of cells: Parquet, CSV, TSV and JSON Lines, each also gzipped.

What a reader returns is raw (cells of CSV are text); ``parsing`` gives the declared columns their dtype.
Rows are counted from 1 and a CSV header is not counted.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from kuapin.data import delimited, json_lines
from kuapin.data.stacking import stack
from kuapin.errors import InputError

FORMATS = "Parquet (.parquet), CSV (.csv), TSV (.tsv) and JSON Lines (.jsonl, .ndjson, .json), each also with .gz"

_KINDS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
}
_GZIP_SUFFIXES = (".gz", ".gzip")


def read_table(
    path: Path | str,
    columns: Iterable[str] | None = None,
    *,
    kind: str | None = None,
    parse: Callable[[str], Any] = json_lines.parse_json,
) -> pl.DataFrame:
    """Read one file.

    Args:
        path: the file; gzip is recognised by its content, the format by its content or its extension.
        columns: keep only these (those that exist); ``None`` keeps all.
        kind: ``parquet``, ``csv``, ``tsv``, ``atomic`` or ``json`` where the extension does not say.
        parse: what reads one line of JSON Lines.

    Returns:
        The rows in file order. CSV and TSV cells are text, an empty cell is null. JSON numbers, flags and lists of
        scalars keep their type where a column has only one; objects become JSON text.

    Raises:
        InputError: the file cannot be read; one line with file, row and column where there is one.
    """
    path = Path(path)
    kind = kind or _kind_of(path)
    wanted = None if columns is None else frozenset(columns)
    if kind == "parquet":
        frame = _read_parquet(path, wanted)
    else:
        with opened(path) as stream:
            frame = stack(list(_chunks(path, stream, kind, wanted, parse)) or [pl.DataFrame()])
    if frame.height == 0:
        raise InputError(f"{path.name} is an empty table. Give a file with at least one row.")
    return frame


def read_header(path: Path | str, *, kind: str | None = None) -> list[str]:
    """The column names of a file (of JSON Lines: the keys of the first row), without reading the rest."""
    path = Path(path)
    kind = kind or _kind_of(path)
    if kind == "parquet":
        return _read_parquet(path, None, n_rows=0).columns
    with opened(path) as stream:
        return delimited.header(path, stream, kind) if kind != "json" else json_lines.keys(path, stream)


def _chunks(
    path: Path, stream: IO[bytes], kind: str, wanted: frozenset[str] | None, parse: Callable[[str], Any]
) -> Iterator[pl.DataFrame]:
    if kind == "json":
        return json_lines.read(path, stream, wanted, parse)
    return delimited.read(path, stream, kind, wanted)


def _kind_of(path: Path) -> str:
    with opened(path) as stream:
        magic = stream.read(4)
    if magic == b"PAR1":
        return "parquet"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _GZIP_SUFFIXES:
        suffixes.pop()
    kind = _KINDS.get(suffixes[-1]) if suffixes else None
    if kind is None:
        raise InputError(f"{path.name} is of an unknown file format. Readable are {FORMATS}.")
    if kind == "parquet":
        raise InputError(f"{path.name} is not a Parquet file, though its name says so. Readable are {FORMATS}.")
    return kind


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where it is gzipped.

    Raises:
        InputError: there is no such file, it cannot be read, or its gzip stream is broken.
    """
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {reason}. Give the path of a file.")
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed and path.suffix.lower() in _GZIP_SUFFIXES:
                raise InputError(f"{path.name} is a broken gzip file (it does not begin as one). Pack it again.")
            if not packed:
                yield file
                return
            with gzip.open(file) as unpacked:
                yield cast(IO[bytes], unpacked)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path.name} is a broken gzip file ({error}). Copy or download it again.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be read: {reason}. Check the path and its permissions.") from error


def _read_parquet(path: Path, wanted: frozenset[str] | None, n_rows: int | None = None) -> pl.DataFrame:
    with opened(path) as stream:
        content = stream.read() if isinstance(stream, gzip.GzipFile) else None
    source: Path | io.BytesIO = path if content is None else io.BytesIO(content)
    try:
        names = list(pl.read_parquet_schema(source))
        kept = None if wanted is None else [name for name in names if name in wanted]
        source = path if content is None else io.BytesIO(content)
        return pl.read_parquet(source, columns=kept, n_rows=n_rows, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path.name} is not a readable Parquet file ({reason}). Write it again.") from error
