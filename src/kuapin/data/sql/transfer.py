"""All that a service's database holds, as files, and back into another database, of whichever kind.

Keys are among it as their hashes, tombstones as keyed hashes: they say something only beside the shop's privacy key,
which is no part of it.
"""

import hmac
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from kuapin import columns as c
from kuapin.data.people import privacy_key
from kuapin.data.sql.database import Database
from kuapin.data.sql.erasures import Erasures
from kuapin.data.sql.schema import INTERACTIONS, METADATA
from kuapin.durable import sync_tree, write_durably
from kuapin.errors import InputError

FORMAT = 2
MARK = "store.json"
AT_ONCE = 5_000
"""Rows that are read or written in one step."""
IN_FILE = 100_000
"""Rows of a file: no more of a table are in memory."""


def write_store(database: Database, folder: Path, shop: Path) -> dict[str, int]:
    """Write every table of a database as Parquet files, all at one state, and a mark that says that they are whole.

    Args:
        database: of the service.
        folder: empty, or not there yet.
        shop: the shop's folder, for its tombstones and its privacy key.

    Returns:
        Table → rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    erasures, rows, files = Erasures(shop, database), dict[str, int](), dict[str, int]()
    erasures.synchronise()
    with database.reading() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        else:
            connection.exec_driver_sql("BEGIN")
        for table in METADATA.sorted_tables:
            rows[table.name] = files[table.name] = 0
            for frame in _frames(connection, table):
                kept = erasures.keep(frame) if table is INTERACTIONS else frame
                kept.write_parquet(_file(folder, table, files[table.name]))
                rows[table.name] += kept.height
                files[table.name] += 1
    mark = {"format": FORMAT, "rows": rows, "files": files, "key": _fingerprint(shop)}
    sync_tree(folder)
    write_durably(folder / MARK, json.dumps(mark, indent=1).encode())
    return rows


def read_store(folder: Path, database: Database, shop: Path) -> dict[str, int]:
    """Read into an empty database what ``write_store`` wrote; all of it, or nothing.

    Who was erased since then stays away.

    Args:
        folder: that was written.
        database: without a row.
        shop: the shop's folder.

    Returns:
        Table → rows.

    Raises:
        InputError: the folder is none or not whole, is of a shop with another key, or the database holds something.
        StoreError: nothing was written.
    """
    files, erasures, rows = _checked(folder, shop), Erasures(shop, database), dict[str, int]()
    with database.writing() as connection:
        for table in METADATA.sorted_tables:
            if connection.scalar(sa.select(sa.func.count()).select_from(table)):
                raise InputError(
                    f"The database holds rows of {table.name} already. A store is read into an empty one: name another."
                )
        for table in METADATA.sorted_tables:
            rows[table.name] = 0
            for path in files[table.name]:
                frame = _read(path)
                frame = erasures.keep(frame) if table is INTERACTIONS else frame
                for part in frame.iter_slices(AT_ONCE):
                    connection.execute(sa.insert(table), part.to_dicts())
                rows[table.name] += frame.height
        if not database.is_sqlite:  # its counter does not see numbers that were given
            last = sa.select(sa.func.coalesce(sa.func.max(INTERACTIONS.c.number), 0) + 1).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(INTERACTIONS.name, "number")
            connection.execute(sa.select(sa.func.setval(sequence, last, False)))  # noqa: FBT003 - PostgreSQL's own
    erasures.synchronise()
    return rows


def _file(folder: Path, table: sa.Table, number: int) -> Path:
    return folder / (f"{table.name}-{number}.parquet" if number else f"{table.name}.parquet")


def _frames(connection: sa.Connection, table: sa.Table) -> Iterator[pl.DataFrame]:
    """A table in frames for a file each; one of an empty table."""
    schema = {column.name: _dtype(column.type) for column in table.columns}
    query = sa.select(table).order_by(*table.primary_key.columns)
    found = connection.execution_options(yield_per=AT_ONCE).execute(query)
    parts = (pl.DataFrame(list(map(tuple, part)), schema=schema, orient="row") for part in found.partitions())
    yield pl.concat([pl.DataFrame(schema=schema), *islice(parts, IN_FILE // AT_ONCE)])
    while more := list(islice(parts, IN_FILE // AT_ONCE)):
        yield pl.concat(more)


def _dtype(kind: sa.types.TypeEngine[object]) -> pl.DataType:
    if isinstance(kind, sa.Boolean):
        return pl.Boolean()
    if isinstance(kind, sa.Float):
        return pl.Float64()
    return pl.Int64() if isinstance(kind, sa.Integer) else pl.String()


def _checked(folder: Path, shop: Path) -> dict[str, list[Path]]:
    """Table → its files, of which the mark says how many rows they hold."""
    try:
        mark = json.loads((folder / MARK).read_bytes())
        if mark["format"] > FORMAT:
            raise InputError(
                f"{folder} has format {mark['format']}; this version of Kuapin reads up to {FORMAT}. "
                "Install a newer one."
            )
        files = {
            table.name: [_file(folder, table, number) for number in range(mark.get("files", {}).get(table.name, 1))]
            for table in METADATA.sorted_tables
        }
        there = {name: sum(_rows(path) for path in paths) for name, paths in files.items()}
        less = {name: count - there[name] for name, count in mark["rows"].items()}
        less[c.INTERACTIONS] = min(less[c.INTERACTIONS], 0)  # kuapin forget takes rows out of exports
        if set(less) != set(files) or any(less.values()):
            raise ValueError("rows are missing")
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise _not_whole(folder, error) from error
    if mark["key"] != _fingerprint(shop):
        raise InputError(
            f"{folder} is of a shop with another privacy key, so that its erasures would erase nobody. "
            "Copy privacy.key, or set KUAPIN_PRIVACY_KEY."
        )
    return files


def _rows(path: Path) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _not_whole(path.parent, error) from error


def _not_whole(folder: Path, error: Exception) -> InputError:
    return InputError(f"{folder} is no store, or not whole ({error}). Write it with: kuapin export SHOP FOLDER --store")


def _fingerprint(shop: Path) -> str:
    return hmac.digest(privacy_key(shop), b"fingerprint", "sha256").hex()[:16]
