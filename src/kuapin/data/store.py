"""The one way that tables and events are read and written: Parquet in a workspace, SQL in a service."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kuapin import columns as c
from kuapin.data.ledger import ImportedFile, sha256_of
from kuapin.data.locking import locked
from kuapin.data.merging import Change, append, upsert
from kuapin.data.schema import DTYPES, SCHEMAS
from kuapin.data.stacking import stack
from kuapin.durable import sync_file, sync_folder, write_durably
from kuapin.errors import StoreError

FORMAT = 1
MAX_PARTS = 32


class TableStore(Protocol):
    """What holds a shop's tables.

    ``interactions`` are appended by event identity, the other tables are replaced row by row by key
    (``merging``). What one ``write`` brings becomes visible together, or not at all.
    """

    @property
    def snapshot(self) -> str:
        """Name of the present content: the same name means the same rows."""

    @property
    def files(self) -> tuple[ImportedFile, ...]:
        """The ledger of imported files, oldest first."""

    def read(self, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """A table in its declared dtypes; with no rows, the required and key columns alone.

        Args:
            table: one of ``columns.TABLES``.
            columns: only these (those that exist).
        """

    def write(self, tables: Mapping[str, pl.DataFrame], files: Sequence[ImportedFile] = ()) -> dict[str, Change]:
        """Merge validated tables (interactions with ``event_id``) and note the files that they came from.

        Raises:
            StoreError: nothing could be written (disk full, read-only, locked); what was there is as before.
        """

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other writers out while the ``with`` block runs; may be nested."""


class Part(BaseModel):
    """One Parquet file of a table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    rows: int = Field(ge=0)
    sha256: str


class Manifest(BaseModel):
    """Which Parquet files are the present content; ``data/tables.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    number: int = 0
    tables: dict[str, tuple[Part, ...]] = {}
    files: tuple[ImportedFile, ...] = ()

    @property
    def snapshot(self) -> str:
        """``s<number>-<hash of the content>``."""
        content = "\n".join(f"{table} {part.sha256}" for table in sorted(self.tables) for part in self.tables[table])
        return f"s{self.number}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


class ParquetStore:
    """Tables as Parquet files below one folder.

    ``tables.json`` names the files that count. A write puts new files beside the old ones and then replaces that one
    file, so that a crash or a full disk leaves the old content; what no manifest names is deleted afterwards.

    Args:
        folder: ``data/`` of a workspace; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held = False

    @property
    def snapshot(self) -> str:
        """Name of the present content."""
        return self._manifest().snapshot

    @property
    def files(self) -> tuple[ImportedFile, ...]:
        """The ledger of imported files, oldest first."""
        return self._manifest().files

    def read(self, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """A table, see ``TableStore.read``.

        Raises:
            StoreError: a file is missing or damaged.
        """
        manifest = self._manifest()
        try:
            return self._read(manifest, table, columns)
        except StoreError:
            later = self._manifest()
            if later == manifest:
                raise
            return self._read(later, table, columns)  # a write came between and deleted what it replaced

    def write(self, tables: Mapping[str, pl.DataFrame], files: Sequence[ImportedFile] = ()) -> dict[str, Change]:
        """Merge tables in one step, see ``TableStore.write``."""
        with self.exclusive():
            manifest = self._manifest()
            number = manifest.number + 1
            parts = dict(manifest.tables)
            changes: dict[str, Change] = {}
            try:
                for table, frame in tables.items():
                    parts[table], changes[table] = self._merge(manifest, table, frame, number)
                known = {(entry.table, entry.sha256) for entry in manifest.files}
                if not any(changes.values()):
                    if known.issuperset((entry.table, entry.sha256) for entry in files):
                        return changes
                    number = manifest.number
                after = Manifest(number=number, tables=parts, files=_noted(manifest.files, files))
                sync_folder(self.folder)
                write_durably(self._manifest_path, after.model_dump_json(indent=1).encode())
            except OSError as error:
                raise StoreError(
                    f"{self.folder} could not be written ({_reason(error)}). The tables are as before; make room or "
                    "correct the permissions, then import again."
                ) from error
            finally:
                self._sweep()
            return changes

    def erase(self, user: str) -> int:
        """Write the tables anew without the rows of one user; returns how many there were.

        Raises:
            StoreError: another process writes, or nothing could be written; the rows are as before.
        """
        with self.exclusive():
            manifest = self._manifest()
            number, gone = manifest.number + 1, 0
            parts = dict(manifest.tables)
            try:
                for table in parts:
                    frame = self._read(manifest, table)
                    kept = without_person(frame, user)
                    if kept.height < frame.height:
                        gone += frame.height - kept.height
                        parts[table] = (self._put(table, kept, number),) if kept.height else ()
                if gone:
                    sync_folder(self.folder)
                    after = Manifest(number=number, tables=parts, files=manifest.files)
                    write_durably(self._manifest_path, after.model_dump_json(indent=1).encode())
            except OSError as error:
                raise StoreError(
                    f"{self.folder} could not be written ({_reason(error)}). The tables are as before."
                ) from error
            finally:
                self._sweep()
            return gone

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other writers out while the ``with`` block runs; may be nested."""
        if self._held:
            yield
            return
        with locked(self.folder / ".lock", f"the tables in {self.folder}"):
            self._held = True
            try:
                yield
            finally:
                self._held = False

    @property
    def _manifest_path(self) -> Path:
        return self.folder / "tables.json"

    def _manifest(self) -> Manifest:
        try:
            manifest = Manifest.model_validate_json(self._manifest_path.read_bytes())
        except FileNotFoundError:
            return Manifest()
        except OSError as error:
            raise StoreError(f"{self._manifest_path} cannot be read ({error.strerror}).") from error
        except ValidationError as error:
            raise StoreError(f"{self._manifest_path} is damaged. Restore it from a backup.") from error
        if manifest.format > FORMAT:
            raise StoreError(
                f"{self._manifest_path} has format {manifest.format}; this version of Kuapin reads up to {FORMAT}. "
                "Install a newer version."
            )
        return manifest

    def _merge(self, manifest: Manifest, table: str, new: pl.DataFrame, number: int) -> tuple[tuple[Part, ...], Change]:
        parts = manifest.tables.get(table, ())
        if table == c.INTERACTIONS:
            fresh, change = append(self._read(manifest, table, [c.EVENT_ID])[c.EVENT_ID], new)
            if not change:
                return parts, change
            if len(parts) >= MAX_PARTS:
                return (self._put(table, stack([self._read(manifest, table), fresh]), number),), change
            return (*parts, self._put(table, fresh, number)), change
        merged, change = upsert(table, self._read(manifest, table), new)
        return ((self._put(table, merged, number),) if change else parts), change

    def _put(self, table: str, frame: pl.DataFrame, number: int) -> Part:
        path = self.folder / f"{table}-{number}.parquet"
        try:
            frame.write_parquet(path, compression="zstd")
        except pl.exceptions.PolarsError as error:
            raise OSError(str(error)) from error
        sync_file(path)
        return Part(file=path.name, rows=frame.height, sha256=sha256_of(path))

    def _read(self, manifest: Manifest, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        schema = SCHEMAS[table]
        empty = pl.DataFrame(
            schema={
                column.name: DTYPES[column.kind]
                for column in schema.columns
                if column.required or column.name in schema.key
            }
        )
        frames = [self._part(self.folder / part.file, columns) for part in manifest.tables.get(table, ())]
        return stack(frames) if frames else empty

    def _part(self, path: Path, columns: Sequence[str] | None) -> pl.DataFrame:
        try:
            kept = None if columns is None else [name for name in pl.read_parquet_schema(path) if name in columns]
            return pl.read_parquet(path, columns=kept, memory_map=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise StoreError(f"{path} is missing or damaged ({_reason(error)}). Restore it from a backup.") from error

    def _sweep(self) -> None:
        """Delete what no manifest names; failing to is harmless."""
        try:
            named = {part.file for parts in self._manifest().tables.values() for part in parts}
            for path in self.folder.glob("*.parquet"):
                if path.name not in named:
                    path.unlink(missing_ok=True)
        except (OSError, StoreError):
            return


def without_person(frame: pl.DataFrame, user: str) -> pl.DataFrame:
    """A table without the rows of a user; of relations those that name him at either end."""
    for name in (c.USER_ID, c.HEAD, c.TAIL):
        if name in frame.columns:
            frame = frame.filter(pl.col(name).ne_missing(user))
    return frame


def _noted(old: Sequence[ImportedFile], new: Sequence[ImportedFile]) -> tuple[ImportedFile, ...]:
    """The ledger with new entries; an entry of the same file and table takes the place of the old one."""
    entries = {(entry.table, entry.sha256): entry for entry in (*old, *new)}
    return tuple(entries.values())


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]
