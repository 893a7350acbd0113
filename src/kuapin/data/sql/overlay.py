"""A shop's tables with what its service has written since: one store, so that training and serving read the same."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import polars as pl

from kuapin import columns as c
from kuapin.data.ledger import ImportedFile
from kuapin.data.merging import Change, append
from kuapin.data.sql.database import Database
from kuapin.data.sql.erasures import NEVER, Erasures
from kuapin.data.sql.events import EventStore
from kuapin.data.sql.items import ItemStore
from kuapin.data.stacking import stack
from kuapin.data.store import TableStore


class ServedTables(TableStore):
    """Tables of a workspace, then the events and items of its database, without those who were erased.

    Imports go to the workspace's tables; the service writes events and items through ``events`` and ``items``.

    Args:
        tables: of the workspace.
        folder: of the workspace.
        database: of the service; ``None``: there is none, and the tombstones alone are applied.
        until: position of the last event of the database that is read; ``None``: all.
    """

    def __init__(self, tables: TableStore, folder: Path, database: Database | None, until: int | None = None) -> None:
        self.tables = tables
        self.folder = folder
        self.database = database
        self.until = until
        self.erasures = Erasures(folder, database)
        self.events = EventStore(database) if database else None
        self.items = ItemStore(database) if database else None

    def at(self, position: int) -> Self:
        """The same store without the events after a position."""
        return type(self)(self.tables, self.folder, self.database, position)

    @property
    def snapshot(self) -> str:
        """Name of the present content: that of the tables, and where the database is."""
        marks = []
        if self.events and self.items:
            position = self.events.position() if self.until is None else self.until
            marks += [f"e{position}", f"i{self.items.position()}"]
        erased = self.erasures.latest()
        return "-".join([self.tables.snapshot, *marks, *([] if erased == NEVER else [f"f{erased}"])])

    @property
    def files(self) -> tuple[ImportedFile, ...]:
        """The ledger of imported files, oldest first."""
        return self.tables.files

    def read(self, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """A table, see ``TableStore.read``."""
        if table == c.INTERACTIONS:
            return self._interactions(columns)
        if table == c.USERS:
            return self.erasures.keep(self.tables.read(table, columns))
        if table == c.RELATIONS:
            frame = self.erasures.keep(self.tables.read(table))
            return frame if columns is None else frame.select([name for name in frame.columns if name in columns])
        if table != c.ITEMS or self.items is None or self.items.position() == 0:
            return self.tables.read(table, columns)
        frame = self.items.apply(self.tables.read(table))
        return frame if columns is None else frame.select([name for name in frame.columns if name in columns])

    def _interactions(self, columns: Sequence[str] | None) -> pl.DataFrame:
        with_time = None if columns is None else [*columns, c.USER_ID, c.TIMESTAMP]
        with_ids = None if with_time is None else [*with_time, c.EVENT_ID]
        new = self.events.table(with_ids, self.until) if self.events else pl.DataFrame()
        if new.height == 0:
            frame = self.tables.read(c.INTERACTIONS, with_time)
        else:
            frame = self.tables.read(c.INTERACTIONS, with_ids)
            frame = stack([frame, append(frame[c.EVENT_ID], new)[0]])
        frame = self.erasures.keep(frame)
        return frame if columns is None else frame.select([name for name in frame.columns if name in columns])

    def write(self, tables: Mapping[str, pl.DataFrame], files: Sequence[ImportedFile] = ()) -> dict[str, Change]:
        """Merge validated tables into those of the workspace, see ``TableStore.write``."""
        return self.tables.write(tables, files)

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other importers out while the ``with`` block runs; may be nested."""
        return self.tables.exclusive()
