"""A workspace: everything of one shop in one folder (DESIGN §3)."""

import datetime as dt
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import polars as pl

from kuapin import columns as c
from kuapin.config import Config
from kuapin.data.dataset import Dataset, build_dataset
from kuapin.data.faults import Action, Fault, Faults, Validation
from kuapin.data.identity import with_event_ids
from kuapin.data.importers import Importer, choose
from kuapin.data.ledger import ImportedFile, sha256_of
from kuapin.data.locking import cleared, locked
from kuapin.data.merging import Change
from kuapin.data.people import People, privacy_key
from kuapin.data.store import ParquetStore, TableStore
from kuapin.data.validation import validate
from kuapin.durable import write_durably
from kuapin.errors import InputError, StoreError
from kuapin.progress import SILENT, Progress

FORMAT = 1
"""Version of the folder's layout; a newer one is refused."""

_MARKER = "workspace.json"
_CONFIG = "kuapin.toml"
LOCK = ".lock"
"""In the folder of a run."""
DATABASE = "service.sqlite"
"""The service's database, where no other is configured."""
TUNED = "refresh-"
"""In ``backbones``: begins the names of what refreshes made."""
ADAPTED = "adapted.json"
"""In ``backbones``: which of them a refresh made, and of which backbone; without it the one that is named reads."""
ERASURES = "erasures.jsonl"
"""Who was erased (``data/sql/erasures.py``)."""
_FOLDERS = ("data", "vectors", "models", "runs", "reports")


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        format: the importer that read the files.
        changes: table → rows added, replaced, unchanged; without the tables whose files were all imported before.
        already: names of files that had been imported before; nothing of them was read again.
        validation: what was found in the files that were read.
        snapshot: the store's snapshot afterwards.
        seconds: how long it took.
    """

    format: str
    changes: dict[str, Change]
    already: tuple[str, ...]
    validation: Validation
    snapshot: str
    seconds: float


@dataclass(frozen=True)
class CheckedItems:
    """An items file that was read and checked, and not stored.

    Attributes:
        validation: what was found.
        frame: the rows that are kept.
        file: the file's name, for messages.
        entries: the ledger's, to be stored with the rows.
    """

    validation: Validation
    frame: pl.DataFrame
    file: str
    entries: tuple[ImportedFile, ...]


class Shop:
    """An open workspace. Opening reads nothing but the marker; everything else is read when asked for.

    Args:
        path: the workspace's folder. Use ``Shop.open`` or ``Shop.init``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def init(cls, path: Path | str) -> Self:
        """Make a new workspace with the default configuration.

        Raises:
            InputError: there is one already, or files of others stand in the way.
            StoreError: the folder cannot be written.
        """
        path = Path(path)
        if (path / _MARKER).exists():
            raise InputError(f"{path} is a workspace already. Open it, or choose another folder.")
        taken = [name for name in (_CONFIG, *_FOLDERS) if (path / name).exists()]
        if taken or (path.exists() and not path.is_dir()):
            raise InputError(f"{path / taken[0] if taken else path} is in the way. Choose a new or an empty folder.")
        try:
            for name in _FOLDERS:
                (path / name).mkdir(parents=True)
            write_durably(path / _CONFIG, Config().render_toml().encode())
            write_durably(path / _MARKER, json.dumps({"format": FORMAT}).encode())
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error.strerror}). Choose another folder.") from error
        return cls(path)

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a workspace.

        Raises:
            InputError: there is no workspace at ``path``.
            StoreError: its marker is damaged, or its format is newer than this version of Kuapin.
        """
        path = Path(path)
        try:
            version = json.loads((path / _MARKER).read_bytes())["format"]
        except OSError as error:
            raise InputError(f"{path} is not a workspace. Make one with: kuapin init {path}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path / _MARKER} is damaged. Restore it from a backup.") from error
        if not isinstance(version, int) or version > FORMAT:
            raise StoreError(
                f"{path} has workspace format {version}; this version of Kuapin reads up to {FORMAT}. "
                "Install a newer version."
            )
        return cls(path)

    @cached_property
    def config(self) -> Config:
        """The settings of ``kuapin.toml``; the defaults where there is none.

        A backbone that the shop tuned itself is named by its folder's name; here it is the folder. So is one that a
        refresh tuned out of the backbone that is named, and another shop that the user model starts from, whose path
        is relative to this one's (or several).
        """
        config = self._written
        sequence = config.sources.sequence
        if sequence.start is not None:
            named = sequence.start
            start = tuple(self.path / one for one in named) if isinstance(named, tuple) else self.path / named
            sequence = sequence.model_copy(update={"start": start})
            config = config.model_copy(update={"sources": config.sources.model_copy(update={"sequence": sequence})})
        name = self._adapted() or config.encoding.backbone
        own = self.path / "backbones" / Path(name).name
        if own.name != name or not own.is_dir():
            return config
        encoding = config.encoding.model_copy(update={"backbone": str(own.resolve())})
        return config.model_copy(update={"encoding": encoding})

    @cached_property
    def _written(self) -> Config:
        """The settings as they are written."""
        path = self.path / _CONFIG
        return Config.load(path) if path.exists() else Config()

    @property
    def named_backbone(self) -> str:
        """The backbone that ``kuapin.toml`` names."""
        return self._written.encoding.backbone

    def _adapted(self) -> str | None:
        """The folder of what a refresh made of that backbone."""
        try:
            said = json.loads((self.path / "backbones" / ADAPTED).read_bytes())
            to = str(said["to"]) if said["from"] == self.named_backbone else ""
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return to if to and (self.path / "backbones" / to).is_dir() else None

    @cached_property
    def store(self) -> TableStore:
        """The shop's tables; where a service wrote events or items, or somebody was erased, with these."""
        tables = ParquetStore(self.path / "data")
        url = self.database_url
        if url is None and not (self.path / ERASURES).exists():
            return tables
        from kuapin.data.sql.database import open_database
        from kuapin.data.sql.overlay import ServedTables

        return ServedTables(tables, self.path, None if url is None else open_database(url))

    @cached_property
    def people(self) -> People:
        """The ids under which people are kept."""
        return People(privacy_key(self.path) if self.config.service.hash_user_ids else None)

    @property
    def database_url(self) -> str | None:
        """The service's database: ``$KUAPIN_DATABASE``, the configured one, or the shop's own if there is one."""
        own = self.path / DATABASE
        given = os.environ.get("KUAPIN_DATABASE") or self.config.service.database
        return given or (f"sqlite:///{own.resolve()}" if own.exists() else None)

    def service_database(self) -> str:
        """The same; an empty one of the shop's own is made where there is none."""
        if self.database_url is None:
            (self.path / DATABASE).touch(mode=0o600)
            self.__dict__.pop("store", None)  # opened before there was one, perhaps
        return self.database_url or ""

    @property
    def vectors(self) -> Path:
        """The cache of text vectors."""
        return self._folder("vectors")

    @property
    def backbones(self) -> Path:
        """The language models that were fine-tuned on this shop, one folder each."""
        return self._folder("backbones")

    @property
    def tuned(self) -> list[str]:
        """The names of these, as ``encoding.backbone`` takes them."""
        return sorted(path.parent.name for path in (self.path / "backbones").glob("[!.]*/config.json"))

    @property
    def models(self) -> Path:
        """The releases."""
        return self._folder("models")

    @property
    def runs(self) -> Path:
        """Work in progress."""
        return self._folder("runs")

    @property
    def reports(self) -> Path:
        """Reports for people and programs."""
        return self._folder("reports")

    @property
    def snapshot(self) -> str:
        """Name of the tables' present content."""
        return self.store.snapshot

    def _folder(self, name: str) -> Path:
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        return folder

    def import_files(
        self,
        *,
        items: Path | str | None = None,
        interactions: Path | str | None = None,
        users: Path | str | None = None,
        campaigns: Path | str | None = None,
        relations: Path | str | None = None,
        labels: Path | str | None = None,
        format: str = "auto",  # noqa: A002 - the command line's name
        progress: Progress = SILENT,
    ) -> ImportReport:
        """Read, validate and store files; all of them become visible together, or none.

        A file whose content was imported before is not read again, unless rows of it wait for items that were unknown.

        Raises:
            InputError: a file cannot be read or breaks a rule; the shop is as before.
            StoreError: the workspace is locked or cannot be written; the shop is as before.
        """
        start = time.monotonic()
        given = dict(zip(c.TABLES, (items, interactions, users, campaigns, relations, labels), strict=True))
        sources = {table: Path(path) for table, path in given.items() if path is not None}
        importer = choose(format, sources)
        with self.store.exclusive():
            files = importer.files(sources)
            hashes = {path: sha256_of(path) for paths in files.values() for path in paths}
            fresh = self._fresh(files, hashes)
            already = tuple(path.name for table, paths in files.items() if table not in fresh for path in paths)
            if not fresh:
                return ImportReport(importer.NAME, {}, already, Validation(), self.snapshot, time.monotonic() - start)
            with progress.step("Reading and checking files"):
                validation = self._checked(importer, sources, fresh)
            validation.require()
            tables = self._kept(validation.tables)
            if c.INTERACTIONS in tables:
                tables[c.INTERACTIONS] = with_event_ids(tables[c.INTERACTIONS])
            entries = _entries(importer.NAME, fresh, hashes, validation)
            with progress.step("Storing tables"):
                changes = self.store.write(tables, entries)
            return ImportReport(importer.NAME, changes, already, validation, self.snapshot, time.monotonic() - start)

    def _kept(self, tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Tables with the ids of people as this shop keeps them."""
        parts = [self.store.read(name, [c.USER_ID])[c.USER_ID] for name in (c.USERS, c.INTERACTIONS)]
        known = pl.concat(parts).unique()
        self.people.check(known)
        if not self.people.hashed:
            return dict(tables)
        from kuapin.data.sql.erasures import Erasures

        erasures = Erasures(self.path)  # tombstones of the time before hashes are of the ids as they come
        return self.people.tables({name: erasures.keep(table) for name, table in tables.items()}, known)

    def check_items(self, path: Path | str, format: str = "auto") -> CheckedItems:  # noqa: A002 - as above
        """Read and validate an items file as ``import_files`` does, and store nothing.

        Raises:
            InputError: it cannot be read or breaks a rule.
        """
        sources = {c.ITEMS: Path(path)}
        importer = choose(format, sources)
        files = {c.ITEMS: importer.files(sources)[c.ITEMS]}
        hashes = {one: sha256_of(one) for one in files[c.ITEMS]}
        validation = self._checked(importer, sources, files)
        validation.require()
        entries = _entries(importer.NAME, files, hashes, validation)
        return CheckedItems(validation, validation.tables[c.ITEMS], Path(path).name, tuple(entries))

    def _fresh(self, files: Mapping[str, tuple[Path, ...]], hashes: Mapping[Path, str]) -> dict[str, tuple[Path, ...]]:
        """The tables with a file that was not imported before, or not wholly."""
        done = {(entry.table, entry.sha256) for entry in self.store.files if not entry.waits_for_items}
        return {
            table: paths for table, paths in files.items() if not all((table, hashes[path]) in done for path in paths)
        }

    def _checked(
        self, importer: Importer, sources: Mapping[str, Path], fresh: Mapping[str, tuple[Path, ...]]
    ) -> Validation:
        wanted = {table: path for table, path in sources.items() if table in fresh}
        imported = importer.read(wanted)
        tables = {table: frame for table, frame in imported.tables.items() if table in fresh}
        return validate(
            tables,
            {table: paths[0].name for table, paths in fresh.items()},
            names=imported.names,
            first_counts=imported.first_counts,
            known_items=self.store.read(c.ITEMS, [c.ITEM_ID, c.CATEGORY, c.BRAND]),
            known_campaigns=self.store.read(c.CAMPAIGNS, [c.CAMPAIGN_ID])[c.CAMPAIGN_ID],
        )

    def validate(self) -> Validation:
        """Check the tables of the shop, and recall which rows of the imported files were left out."""
        tables = {table: frame for table in c.TABLES if (frame := self.store.read(table)).height}
        checked = validate(tables)
        left_out = [fault for entry in self.store.files for fault in entry.faults if fault.action is Action.LEFT_OUT]
        return Validation(checked.tables, (*left_out, *checked.faults, *_all_cold(tables)))

    def dataset(self) -> Dataset:
        """The shop's tables at the present snapshot, as arrays.

        Raises:
            InputError: there are no items yet.
        """
        while True:
            snapshot = self.snapshot
            items = self.store.read(c.ITEMS)
            users = self.store.read(c.USERS, [c.USER_ID])
            log = self.store.read(c.INTERACTIONS, [c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT])
            relations = self.store.read(c.RELATIONS)
            if snapshot == self.snapshot:  # no import came between the tables
                break
        if items.height == 0:
            raise InputError(f"{self.path} has no items yet. Import some: kuapin import {self.path} --items FILE")
        dataset = build_dataset(items, log, users if users.height else None)
        people = dataset.users.ids.implode()
        of_items = relations.filter(~pl.col(c.HEAD).is_in(people), ~pl.col(c.TAIL).is_in(people))
        return replace(dataset, catalogue=replace(dataset.catalogue, relations=of_items))

    @contextmanager
    def run(self, run_id: str) -> Iterator[Path]:
        """A folder for work in progress, ``runs/<run_id>``, kept by one process at a time.

        It is removed when the block ends well and stays when it does not, so that the same id resumes it.

        Raises:
            StoreError: another process works in it.
        """
        folder = self.runs / run_id
        with locked(folder / LOCK, f"the run {run_id}", make_folder=True):
            yield folder
            cleared(folder, LOCK)


def _entries(
    format_name: str, files: Mapping[str, tuple[Path, ...]], hashes: Mapping[Path, str], validation: Validation
) -> list[ImportedFile]:
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    entries = []
    for table, paths in files.items():
        faults = tuple(fault for fault in validation.faults if fault.table == table)
        counts = {
            "rows": validation.tables[table].height,
            "left_out": sum(fault.count for fault in faults if fault.action is Action.LEFT_OUT),
            "faults": faults,
        }
        for path in paths:
            entry = {"sha256": hashes[path], "table": table, "name": path.name, "format": format_name, "at": at}
            entries.append(ImportedFile.model_validate(entry | counts))
            counts = {"rows": 0, "left_out": 0}
    return entries


def _all_cold(tables: Mapping[str, pl.DataFrame]) -> tuple[Fault, ...]:
    if c.ITEMS not in tables or c.INTERACTIONS in tables:
        return ()
    faults = Faults(c.ITEMS, c.ITEMS)
    faults.add(
        Action.WARNING,
        "all items cold",
        "no item has an interaction; recommendations rest on the texts alone. Import interactions.",
    )
    return tuple(faults.found)
