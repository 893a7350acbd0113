"""``forget``: one person out of everything that a shop holds, and never back in."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kuapin import columns as c
from kuapin.data.locking import cleared, locked
from kuapin.data.sql.database import open_database
from kuapin.data.sql.erasures import NEVER, Erasure, Erasures
from kuapin.data.sql.events import EventStore
from kuapin.data.sql.experiments import ExperimentStore
from kuapin.data.sql.overlay import ServedTables
from kuapin.data.store import ParquetStore, without_person
from kuapin.errors import InputError, ModelFolderError, StoreError
from kuapin.manifest import read_manifest
from kuapin.model_folder import Releases
from kuapin.pipeline.suspects_report import NAME as SUSPECTS
from kuapin.workspace import ADAPTED, LOCK, TUNED, Shop

EXPORTS = "exports"
"""In the shop's folder: what ``kuapin export`` writes, unless it is told another place."""
OF_THE_LOG = ("co-interaction", "next-item")
"""Objectives of fine-tuning that learn from what people did."""
CHANGE = "*/change/change.json"
"""In ``backbones``: what ``kuapin finetune`` says of a change (this module is read by services, that one by none)."""


@dataclass(frozen=True)
class Receipt:
    """What was done, without saying of whom.

    Attributes:
        erasure: the tombstone.
        rows: rows that were deleted, of the tables and the database.
        files: what was deleted or written anew beside them, relative to the shop's folder.
        remains: what is left, and what ends it.
        found: whether anything of the person was found; true where the tables could not be searched.
    """

    erasure: Erasure
    rows: int
    files: tuple[str, ...]
    remains: tuple[str, ...]
    found: bool


def forget(shop: Shop, user: str, marked: Callable[[], None] = lambda: None) -> Receipt:
    """Erase a person.

    The tombstone comes first: whatever fails after it, no load, no training and no restored backup shows the person
    again. An unknown id gets one too: whoever asks shall not learn who was a customer. Nothing is deleted then.

    Args:
        shop: the workspace; a running service takes part within a second.
        user: the id under which the shop knows the person.
        marked: called once the tombstone is set.

    Raises:
        InputError: the id is empty.
        StoreError: the tombstone could not be set; nothing has changed.
    """
    if not user:
        raise InputError("An id is needed to forget somebody; an empty one came.")
    user, url = shop.people.of(user), shop.database_url
    database = None if url is None else open_database(url)
    try:
        events = None if database is None else EventStore(database)
        erasure = Erasures(shop.path, database).add(user, _newest(shop, user, events))
        marked()
        rows, remains, searched = 0, [], True
        if events is not None:
            rows += events.erase(user)
        try:
            rows += ParquetStore(shop.path / "data").erase(user)
        except StoreError as error:
            searched = False
            remains.append(
                f"The tables still hold rows, which nothing reads: {error} Then run kuapin forget once more."
            )
        own = [*_exports(shop, user), *_reports(shop, user)]
        named = [one for one in own if one != f"reports/{SUSPECTS}"]  # that goes whomever it names
        if searched and not rows and not named:
            return Receipt(erasure, 0, tuple(own), (), found=False)
        files = [*own, *_runs(shop, remains), *_tuned_by_refresh(shop)]
        files += finish(shop)
        remains += [
            f"Release {one} holds no row of the person, but sums with a part of it. Run: kuapin train {shop.path}"
            for one in _answering(shop)
            if _is_older(one, shop, erasure.erased_at)
        ]
        remains += [
            f"backbones/{one} was tuned before, by what people did together. Tune it again, or delete it."
            for one in _tuned_by_hand(shop)
        ]
        return Receipt(erasure, rows, tuple(files), tuple(remains), found=True)
    finally:
        if database is not None:
            database.close()


def finish(shop: Shop) -> list[str]:
    """Delete releases that were trained before the last erasure, but for those that answer; returns what went."""
    store = shop.store
    if not isinstance(store, ServedTables):
        return []
    latest = store.erasures.latest()
    if latest == NEVER:
        return []
    releases, kept = Releases(shop.models, shop.config.releases), _answering(shop)
    old = [
        one.version for one in releases.versions() if one.version not in kept and _is_older(one.version, shop, latest)
    ]
    releases.drop(old)
    return [f"models/{version}" for version in old]


def has_forgotten_since(shop: Shop, version: str) -> bool:
    """Whether somebody was erased after a release was trained."""
    store = shop.store
    latest = store.erasures.latest() if isinstance(store, ServedTables) else NEVER
    return latest != NEVER and _is_older(version, shop, latest)


def _tuned_by_refresh(shop: Shop) -> list[str]:
    """Delete the language models that refreshes tuned; the one that is named reads again, and may be tuned anew."""
    (shop.backbones / ADAPTED).unlink(missing_ok=True)
    gone = [path for path in sorted(shop.backbones.glob(f"{TUNED}*")) if path.is_dir()]
    compiled = sorted((shop.vectors / "encoders").glob("*/encoder.json"))
    read_by = {path.parent: json.loads(path.read_text(encoding="utf-8")).get("backbone", "") for path in compiled}
    gone += [folder for folder, backbone in read_by.items() if Path(backbone).name.startswith(TUNED)]
    for path in gone:
        shutil.rmtree(path)
    return [str(path.relative_to(shop.path)) for path in gone]


def _tuned_by_hand(shop: Shop) -> list[str]:
    """Backbones that ``kuapin finetune`` made out of the log, and those that cannot say out of what."""
    return [path.parent.parent.name for path in sorted(shop.backbones.glob(CHANGE)) if _of_the_log(path)]


def _of_the_log(change: Path) -> bool:
    try:
        return json.loads(change.read_text(encoding="utf-8"))["settings"]["objective"] in OF_THE_LOG
    except (ValueError, KeyError, TypeError):
        return True


def _answering(shop: Shop) -> list[str]:
    """The releases that answer people: the live one, and the other of an experiment that runs."""
    live, store = Releases(shop.models, shop.config.releases).live(), shop.store
    database = store.database if isinstance(store, ServedTables) else None
    one = None if database is None else ExperimentStore(database).running()
    named = [live, *([] if one is None else [one.control, one.challenger])]
    return [version for version in dict.fromkeys(named) if version is not None and (shop.models / version).is_dir()]


def _newest(shop: Shop, user: str, events: EventStore | None) -> int:
    """When a person did something last, unix seconds, as far as it can be read; 0 where nothing is known."""
    newest = 0 if events is None else events.newest(user)
    try:
        log = ParquetStore(shop.path / "data").read(c.INTERACTIONS, [c.USER_ID, c.TIMESTAMP])
    except StoreError:
        return newest
    if c.TIMESTAMP not in log.columns:
        return newest
    in_tables = log.filter(pl.col(c.USER_ID) == user)[c.TIMESTAMP].max()
    return max(newest, int(in_tables or 0))  # type: ignore[arg-type]


def _is_older(version: str, shop: Shop, erased_at: int) -> bool:
    """Whether a release was trained on tables from before an erasure, which the name of their snapshot tells."""
    try:
        snapshot = read_manifest(shop.models / version).snapshot
    except ModelFolderError:
        return True  # who knows what is in it
    known = re.search(r"-f(\d+)$", snapshot)
    return known is None or int(known[1]) < erased_at


def _exports(shop: Shop, user: str) -> list[str]:
    changed = []
    for path in sorted((shop.path / EXPORTS).rglob("*.parquet")):
        frame = pl.read_parquet(path, memory_map=False)
        kept = without_person(frame, user)
        if kept.height < frame.height:
            kept.write_parquet(path)
            changed.append(str(path.relative_to(shop.path)))
    return changed


def _reports(shop: Shop, user: str) -> list[str]:
    """Reports show a few users by their ids; one that may be of the person is deleted, and what names suspects."""
    named, gone = re.compile(rf"[\s\"'>]{re.escape(user)}[\"'<]"), []
    for path in sorted(shop.reports.iterdir()):
        if not path.is_file():
            continue
        if path.name == SUSPECTS or named.search(path.read_text(encoding="utf-8", errors="replace")):
            path.unlink()
            gone.append(f"reports/{path.name}")
    return gone


def _runs(shop: Shop, remains: list[str]) -> list[str]:
    """Work in progress may hold histories; what nobody works on is deleted."""
    gone = []
    for path in sorted(shop.runs.iterdir()):
        if not path.is_dir():
            continue
        try:
            with locked(path / LOCK, f"the run {path.name}"):
                cleared(path, LOCK)
        except StoreError:
            remains.append(f"The run {path.name} is being worked on: end it, then run kuapin forget once more.")
        else:
            gone.append(f"runs/{path.name}")
    return gone
