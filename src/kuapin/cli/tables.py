"""Files that go in and out of ``kuapin recommend``."""

import os
from pathlib import Path

import polars as pl

from kuapin import columns as c
from kuapin.data.readers import read_table
from kuapin.durable import sync_file, sync_folder
from kuapin.errors import InputError

_TABLES = (".parquet", ".pq", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_OUTPUTS = (".parquet", ".csv", ".jsonl")


def read_user_ids(path: Path) -> list[str]:
    """User ids of a file, in its order, each once.

    Args:
        path: Parquet, JSON Lines or CSV (also gzipped) with the column ``user_id``; anything else has one id a line.
            Ids are taken as they stand; blank lines are passed over.

    Raises:
        InputError: the file cannot be read, has no ids or no column ``user_id``, or an id is missing.
    """
    suffixes = {suffix.lower() for suffix in path.suffixes[-2:]}
    ids = _column(path) if suffixes & set(_TABLES) else _lines(path)
    if not ids:
        raise InputError(f"{path} has no user ids. Write one id a line.")
    return list(dict.fromkeys(ids))


def check_suffix(path: Path) -> None:
    """Raise ``InputError`` unless ``write_table`` can write such a file."""
    if path.suffix.lower() not in _OUTPUTS:
        raise InputError(f"{path}: the output must end in one of {', '.join(_OUTPUTS)}. Choose another name.")


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write a table in the format of the file's suffix; an older file is replaced only by a whole new one."""
    check_suffix(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.suffix.lower() == ".parquet":
            table.write_parquet(beside)
        elif path.suffix.lower() == ".csv":
            table.write_csv(beside)
        else:
            table.write_ndjson(beside)
        sync_file(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def _column(path: Path) -> list[str]:
    table = read_table(path)
    if c.USER_ID not in table.columns:
        raise InputError(f"{path} has no column user_id; it has {', '.join(table.columns)}. Rename the column.")
    ids = table[c.USER_ID].cast(pl.String)
    missing = ids.is_null()
    if missing.any():
        raise InputError(f"{path} row {int(missing.arg_max() or 0) + 1}: user_id is missing. Give it, or drop the row.")
    return ids.to_list()


def _lines(path: Path) -> list[str]:
    ids = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.removesuffix(b"\n").removesuffix(b"\r")
                if text:
                    ids.append(_decoded(text, path, number))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Correct the path.") from error
    return ids


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} row {number}: not UTF-8. Save the file as UTF-8, one user id a line.") from error
    if "\0" in text:
        raise InputError(f"{path} row {number}: holds a NUL, so this is no list of ids. Give one user id a line.")
    return text
