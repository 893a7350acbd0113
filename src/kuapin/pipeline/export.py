"""``export``: every table of a shop, as Parquet, at one snapshot; or the service's whole database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kuapin import columns as c
from kuapin.data.sql.database import Database, open_database
from kuapin.data.sql.transfer import read_store, write_store
from kuapin.durable import sync_tree
from kuapin.errors import InputError
from kuapin.pipeline.forget import EXPORTS
from kuapin.workspace import Shop


@dataclass(frozen=True)
class Export:
    """What was written: where, of which snapshot, and how many rows of each table."""

    folder: Path
    snapshot: str
    rows: dict[str, int]


def export(shop: Shop, folder: Path | None = None) -> Export:
    """Write the tables to a new or empty folder, without those who were erased.

    Args:
        shop: the workspace; what its service wrote is part of the tables.
        folder: ``None``: a new one in ``exports/``, where ``forget`` finds it.

    Raises:
        InputError: there is something in the folder already.
    """
    folder = _empty(shop, folder)
    snapshot, rows = shop.snapshot, {}
    for table in c.TABLES:
        frame = shop.store.read(table)
        if frame.height:
            frame.write_parquet(folder / f"{table}.parquet")
            rows[table] = frame.height
    sync_tree(folder)
    return Export(folder, snapshot, rows)


def export_store(shop: Shop, folder: Path | None = None) -> Export:
    """Write the service's database whole: events, items, tombstones, experiments, and the hashes of keys.

    Args:
        shop: the workspace.
        folder: as in ``export``.

    Raises:
        InputError: there is something in the folder already, or the shop has no database.
    """
    database = _database(shop)
    folder, snapshot = _empty(shop, folder), shop.snapshot
    try:
        return Export(folder, snapshot, write_store(database, folder, shop.path))
    finally:
        database.close()


def import_store(shop: Shop, folder: Path) -> dict[str, int]:
    """Read a store that was written into the database that the shop has now; returns table → rows.

    Raises:
        InputError: the folder is no whole store, or the database is not empty.
    """
    shop.service_database()
    database = _database(shop)
    try:
        return read_store(folder, database, shop.path)
    finally:
        database.close()


def _database(shop: Shop) -> Database:
    if shop.database_url is None:
        raise InputError(f"{shop.path} has no database yet: no service wrote anything. Nothing is to be exported.")
    return open_database(shop.database_url)


def _empty(shop: Shop, folder: Path | None) -> Path:
    if folder is None:
        folder = shop.path / EXPORTS / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty. Name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
