"""Releases: ``models/<version>/``, which of them is live, and how one takes the other's place.

A release is written in ``models/.tmp``, hashed, flushed to the disk and renamed into place; ``models/current`` then
names it. Each of the two steps is one rename, so that whoever reads meets the old state or the new one. ``current``
is a small JSON file, not a symbolic link: it holds the live release and those that were live before, so that both
change together, and it survives copying, archives and file systems without links.
"""

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

import kuapin
from kuapin.data.locking import locked
from kuapin.durable import sync_folder, sync_tree, write_durably
from kuapin.errors import InputError, ModelFolderError, StoreError, UnknownIdError
from kuapin.integrity import entry_of, files_of, verify
from kuapin.manifest import MANIFEST, ROUTING, Manifest, Routing, check_parts, read_manifest

CURRENT = "current"
_DRAFTS = ".tmp"
_LOCK = ".lock"
_LOG_LENGTH = 200
_DRAFT_LIFETIME_S = 24 * 3600


ATTRIBUTES = (
    "color", "colour", "shade", "material", "fabric", "pattern", "finish", "style", "fit", "shape", "size", "season",
    "occasion", "gender", "age_group", "flavor", "flavour", "scent", "genre", "language", "format", "department",
    "product_type", "颜色", "材质", "图案", "风格", "尺码", "尺寸", "季节", "性别", "口味",
)  # fmt: skip
"""What shops call attributes that several items share, and that are no person's."""


class ReleasesConfig(BaseModel):
    """Published models: how many are kept, and how alteration is detected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attributes: tuple[str, ...] = Field(
        ATTRIBUTES,
        description="Columns of the items table beside those of every shop that a release may keep: none that names "
        "people. Capital and small letters are one; a column that text.template names is kept too.",
    )
    keep: int = Field(5, ge=2, description="Releases kept for rollback; the oldest beyond them are deleted on publish.")
    signing_key_file: Path | None = Field(
        None,
        description="File, relative to the shop's folder, with the key that signs and checks releases; "
        "the environment variable KUAPIN_SIGNING_KEY goes before it.",
    )


class Change(BaseModel):
    """One line of the log of what was live when."""

    at: str
    action: Literal["publish", "activate", "rollback"]
    version: str


class Current(BaseModel):
    """The content of ``models/current``: the live release, those live before it (latest last), and the log."""

    live: str
    before: list[str] = Field(default_factory=list)
    log: list[Change] = Field(default_factory=list)


@dataclass(frozen=True)
class Draft:
    """A release being written: put its files under ``path``, then publish it."""

    version: str
    path: Path


@dataclass(frozen=True)
class Release:
    """One release as listed: what stands behind it, in words (``note``), and what was measured.

    ``fault`` says why it would be refused at first sight (files are not hashed for this).
    """

    version: str
    created_at: str
    bytes: int
    live: bool
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    fault: str | None = None
    note: str = ""


class Releases:
    """The releases of one shop.

    Args:
        folder: the shop's ``models`` folder; it is made when the first release is begun.
        config: how many to keep, and where the signing key is.
    """

    def __init__(self, folder: Path, config: ReleasesConfig | None = None) -> None:
        self.folder = folder
        self.config = config or ReleasesConfig()

    @contextmanager
    def begin(self) -> Iterator[Draft]:
        """A draft to write into; what was not published when the ``with`` block ends is deleted."""
        drafts = self.folder / _DRAFTS
        drafts.mkdir(parents=True, exist_ok=True)
        self._drop_old_drafts()
        version = _new_name()
        while (self.folder / version).exists() or (drafts / version).exists():
            version = _new_name()
        (drafts / version).mkdir()
        draft = Draft(version, drafts / version)
        try:
            yield draft
        finally:
            shutil.rmtree(draft.path, ignore_errors=True)

    def publish(
        self,
        draft: Draft,
        *,
        routing: Routing,
        snapshot: str,
        fingerprint: str,
        config: Mapping[str, JsonValue],
        metrics: Mapping[str, float | None],
        activate: bool = True,
    ) -> Manifest:
        """Seal a draft, move it into place and, unless told otherwise, make it live; then delete the oldest releases.

        Until the last step the live release is what it was; a failure leaves no part of the new one behind.

        Args:
            draft: from ``begin``.
            routing: which part of the draft serves which category; paths relative to the draft.
            snapshot: name of the data snapshot trained on.
            fingerprint: hash of that snapshot.
            config: the configuration in force, as plain JSON values.
            metrics: dotted name → value, shown by ``kuapin models``.
            activate: whether it goes live.

        Raises:
            ModelFolderError: the draft holds a link or a name that is not plain, or the routing names what
                is not there.
            OSError: the disk is full, read-only, …
        """
        key = self._key()
        check_parts(draft.path, routing)
        (draft.path / ROUTING).write_text(routing.model_dump_json(indent=1) + "\n", encoding="utf-8")
        manifest = Manifest(
            kuapin=kuapin.__version__,
            version=draft.version,
            created_at=_now(),
            snapshot=snapshot,
            fingerprint=fingerprint,
            config=dict(config),
            metrics=dict(metrics),
            files={path: entry_of(draft.path / path) for path in files_of(draft.path)},
        ).sealed(key)
        write_durably(draft.path / MANIFEST, manifest.render())
        sync_tree(draft.path)
        with self._locked():
            target = self.folder / draft.version
            try:
                draft.path.rename(target)
                sync_folder(self.folder)
                if activate:
                    self._switch(draft.version, "publish")
            except BaseException:
                if self.live() != draft.version:  # it may have gone live before the failure
                    shutil.rmtree(target, ignore_errors=True)
                raise
            self._prune()
        return manifest

    def verify(self, folder: Path) -> Manifest:
        """Check one release whole, its signature too where a key is configured; raises ``ModelFolderError``."""
        return verify(folder, self._key())

    def live(self) -> str | None:
        """Name of the live release; ``None`` before the first is published."""
        current = self._current()
        return current.live if current else None

    def open_live(self) -> Path:
        """Folder of the live release, verified.

        Raises:
            ModelFolderError: nothing is live yet, or the live release is damaged.
        """
        live = self.live()
        if live is None:
            raise ModelFolderError(f"{self.folder.parent} has no model yet. Run: kuapin train {self.folder.parent}")
        self.verify(self.folder / live)
        return self.folder / live

    def open(self, version: str) -> Path:
        """Folder of a release, verified.

        Raises:
            UnknownIdError: there is no such release.
            ModelFolderError: it is damaged.
        """
        self._check_known(version)
        self.verify(self.folder / version)
        return self.folder / version

    def activate(self, version: str, *, after: str | None = None) -> None:
        """Make a release live after verifying it; the one that was live stays for rollback.

        Args:
            version: its name.
            after: what must be live until then, for what was made on top of it; ``None``: whatever is.

        Raises:
            UnknownIdError: there is no such release.
            ModelFolderError: it is damaged; what is live stays live.
            StoreError: another release went live meanwhile, and stays.
        """
        with self._locked():
            self._check_known(version)
            self.verify(self.folder / version)
            if after is not None and self.live() != after:
                raise StoreError(
                    f"Another release went live meanwhile: {version}, which rests on {after}, does not. "
                    "Run the command again."
                )
            if version != self.live():
                self._switch(version, "activate")

    def rollback(self) -> str:
        """Make the release live that was live before this one; returns its name.

        Raises:
            ModelFolderError: there is none, or it is damaged; what is live stays live.
        """
        with self._locked():
            before, current = self.before(), self._current()
            self.verify(self.folder / before)
            change = Change(at=_now(), action="rollback", version=before)
            known, log = ([], []) if current is None else (current.before, current.log)
            rest = [version for version in known if (self.folder / version).is_dir()][:-1]
            self._write_current(Current(live=before, before=rest, log=[*log, change]))
            return before

    def before(self) -> str:
        """Name of the release that a rollback returns to.

        Raises:
            ModelFolderError: there is none.
        """
        current = self._current()
        known = [version for version in current.before if (self.folder / version).is_dir()] if current else []
        if not known:
            raise ModelFolderError(
                f"{self.folder.parent} has no earlier release to return to. List them: kuapin models SHOP"
            )
        return known[-1]

    def versions(self) -> list[Release]:
        """All releases, oldest first; only manifests are read."""
        live = self.live()
        return sorted(
            (self._listed(path, live) for path in self.folder.glob("[!.]*") if path.is_dir()),
            key=lambda release: (release.created_at, release.version),
        )

    def drop(self, versions: Iterable[str]) -> None:
        """Delete releases; the live one stays.

        Raises:
            StoreError: another process is changing what is live.
        """
        with self._locked():
            live = self.live()
            for version in versions:
                if version != live and (self.folder / version).is_dir():
                    self._drop(version)

    def log(self) -> list[Change]:
        """What was live when, oldest first."""
        current = self._current()
        return current.log if current else []

    def _listed(self, path: Path, live: str | None) -> Release:
        try:
            manifest = read_manifest(path)
        except ModelFolderError as error:
            return Release(path.name, "", 0, path.name == live, fault=str(error))
        size = sum(entry.bytes for entry in manifest.files.values())
        note = str(manifest.config.get("note") or "")
        return Release(path.name, manifest.created_at, size, path.name == live, manifest.metrics, note=note)

    def _check_known(self, version: str) -> None:
        if version not in {release.version for release in self.versions()}:
            raise UnknownIdError(f"There is no release {version!r} in {self.folder}. List them: kuapin models SHOP")

    def _current(self) -> Current | None:
        path = self.folder / CURRENT
        try:
            return Current.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ModelFolderError(
                f"{path} is damaged. Delete it, list the releases (kuapin models SHOP) and choose one: "
                "kuapin publish SHOP VERSION"
            ) from error

    def _switch(self, version: str, action: Literal["publish", "activate"]) -> None:
        current = self._current()
        before = [*current.before, current.live] if current else []
        log = current.log if current else []
        change = Change(at=_now(), action=action, version=version)
        self._write_current(Current(live=version, before=[v for v in before if v != version], log=[*log, change]))

    def _write_current(self, current: Current) -> None:
        short = current.model_copy(update={"log": current.log[-_LOG_LENGTH:]})
        write_durably(self.folder / CURRENT, (json.dumps(short.model_dump(), indent=1) + "\n").encode())

    def _prune(self) -> None:
        """Keep the newest releases, the live one and the one that rollback returns to."""
        current = self._current()
        needed = {current.live, *current.before[-1:]} if current else set()
        for release in self.versions()[: -self.config.keep]:
            if release.version not in needed and release.fault is None:  # what cannot be read is not ours to delete
                self._drop(release.version)

    def _drop(self, version: str) -> None:
        # renamed first, so that a deletion cut short leaves no torn release in the list
        (self.folder / _DRAFTS).mkdir(exist_ok=True)
        doomed = self.folder / _DRAFTS / f"old-{version}"
        (self.folder / version).rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def _drop_old_drafts(self) -> None:
        """Delete what a killed process left behind; a draft of the last day may still be written to."""
        for entry in os.scandir(self.folder / _DRAFTS):
            if entry.name.startswith("old-") or time.time() - entry.stat().st_mtime > _DRAFT_LIFETIME_S:
                shutil.rmtree(entry.path, ignore_errors=True)

    def _key(self) -> bytes | None:
        from_environment = os.environ.get("KUAPIN_SIGNING_KEY")
        if from_environment:
            return from_environment.encode()
        if self.config.signing_key_file is None:
            return None
        path = self.folder.parent / self.config.signing_key_file
        try:
            key = path.read_bytes().strip()
        except OSError as error:
            raise InputError(
                f"kuapin.toml: releases.signing_key_file {path} cannot be read ({error.strerror}). Correct the path."
            ) from error
        if not key:
            raise InputError(f"kuapin.toml: releases.signing_key_file {path} is empty. Write a key into it.")
        return key

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time changes what is live."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / _LOCK, f"the releases of {self.folder.parent}"):
            yield


def _new_name() -> str:
    """The time to the millisecond: names sort by age."""
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
