"""``export``: every table of a shop, as Parquet, at one snapshot."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kuapin import columns as c
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
    if folder is None:
        folder = shop.path / EXPORTS / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty. Name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    snapshot, rows = shop.snapshot, {}
    for table in c.TABLES:
        frame = shop.store.read(table)
        if frame.height:
            frame.write_parquet(folder / f"{table}.parquet")
            rows[table] = frame.height
    sync_tree(folder)
    return Export(folder, snapshot, rows)
