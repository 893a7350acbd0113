"""``onboard``: a category opens in a trained shop, and is live when this ends."""

import hashlib
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import JsonValue

from kuapin import columns as c
from kuapin.arrays import load_arrays
from kuapin.config import Config
from kuapin.counts import counted
from kuapin.data.dataset import Catalogue, Dataset, build_catalogue, build_dataset
from kuapin.data.ledger import ImportedFile
from kuapin.data.merging import upsert
from kuapin.data.suspects import find_suspects
from kuapin.encoding.encoder import Encoder
from kuapin.encoding.items import encoded
from kuapin.encoding.opening import load_encoder
from kuapin.errors import InputError, ModelFolderError, StoreError
from kuapin.list_layer import SAFETY
from kuapin.manifest import Manifest, Route, Routing, part_of, read_manifest, read_routing
from kuapin.model import LOGGED
from kuapin.model_folder import Releases
from kuapin.pipeline.assess import judged
from kuapin.pipeline.challenges import record_opening
from kuapin.pipeline.new_items import new_items
from kuapin.pipeline.onboarded import Onboarded, expected_json, look_around, negative_transfer_json
from kuapin.pipeline.parts import in_order_of, know_later, take_over
from kuapin.pipeline.suspects_report import write_suspects
from kuapin.pipeline.train import NEWEST, Texts, learnable, with_attributes_alone, write_catalogue
from kuapin.progress import SILENT, Progress
from kuapin.ranking.opening import Opening, open_category
from kuapin.ranking.recommender import RANKER, SOURCES
from kuapin.ranking.signals import TEXTS
from kuapin.ranking.simulation import SimulationConfig, shot_level
from kuapin.ranking.strategies import Strategy
from kuapin.release_parts import CATALOGUE, LATER, PARTS
from kuapin.retrieval.source import Visible
from kuapin.retrieval.whitening import fit_whitening, save_whitening
from kuapin.text.template import TextConfig, render
from kuapin.workspace import Shop

OPENED = "opened"
"""Key of the manifest's ``config`` under which it stands what categories were opened by, for people and ``refresh``."""


def onboard(
    shop: Shop,
    items: Path | str,
    category: str,
    *,
    format: str = "auto",  # noqa: A002 - the command line's name
    simulation: SimulationConfig | None = None,
    progress: Progress = SILENT,
) -> Onboarded:
    """Open a category: check and encode its items, measure what to expect, choose what serves it best, make it live.

    The release that is live is taken over whole; the category is routed to a part of its own. The items are stored in
    the shop last but one, the release goes live last: whatever ends it before leaves both as they were. Where another
    release goes live just between the two, the items are stored and served by nothing: the same command opens them.

    Args:
        shop: with a live release and at least two categories.
        items: file with the category's items.
        category: its top-level name.
        format: whose layout the file has.
        simulation: how much is replayed.
        progress: told of every step.

    Raises:
        InputError: the file, the category or the shop is not fit for it.
        ModelFolderError: the live release is damaged, or its encoder does not fit its vectors.
        StoreError: the shop is being trained, or another release went live meanwhile.
    """
    started, config = time.monotonic(), shop.config
    releases = Releases(shop.models, config.releases)
    if releases.live() is None:
        raise InputError(f"{shop.path} has no model yet, so that nothing can open in it. Run: kuapin train {shop.path}")
    live = _Live.read(releases.open_live())
    with progress.step("Reading and checking the items"):
        checked = shop.check_items(items, format)
        fresh = new_items(checked, category, shop.store.read(c.ITEMS), live.text)
    live.check_unserved(category)
    encoder = _encoder(live, shop)
    with shop.run("train"):
        dataset = in_order_of(with_attributes_alone(_dataset(shop, fresh), config, live.text), live.known)
        read = _read(shop, dataset.catalogue, encoder, live.text, progress)
        rows = np.sort(dataset.catalogue.items.rows(fresh[c.ITEM_ID]))
        suspects = find_suspects(dataset.histories, config.live.suspects)
        visible = learnable(dataset, read, suspects)
        opening = opening_of(config, visible, rows, simulation, progress=progress)
        with progress.step("Comparing texts"):
            surroundings = look_around(visible, rows, opening)
        with progress.step("Writing the release"):
            log = visible.histories
            newest = int(log.times.max(initial=0)) if log.timed else None
            version = _publish(releases, live, category, opening, dataset.catalogue, read, len(rows), newest)
        _go_live(shop, releases, version, live.folder.name, fresh, checked.entries)
        named = write_suspects(shop, suspects.named(dataset))
        lost = negative_transfer_json(opening.expectations, opening.shot) if opening.expectations else []
        record_opening(shop.models, live.folder.name, category, lost)
    return Onboarded(
        version,
        category,
        len(rows),
        opening,
        int(np.count_nonzero(visible.histories.lengths)),
        surroundings,
        named,
        tuple(fault for fault in checked.validation.faults if fault.column != c.CATEGORY),  # it is given by name
        time.monotonic() - started,
        _reads(live.manifest.config.get("encoding")) != _reads(config.encoding.model_dump(mode="json")),
    )


def slug(category: str) -> str:
    """A plain name for a category's folder: what of it is letters and digits, and a hash that tells it from others."""
    plain = re.sub(r"[^a-z0-9]+", "-", category.lower()).strip("-")[:40]
    return f"{plain or 'category'}-{hashlib.sha256(category.encode()).hexdigest()[:8]}"


def _reads(encoding: JsonValue) -> list[JsonValue]:
    """Which language model settings name, and how it reads; not how fast."""
    return [encoding.get(name) for name in ("backbone", "pooling", "max_length")] if isinstance(encoding, dict) else []


@dataclass(frozen=True)
class _Live:
    """The live release: what it says of itself, the items it knows, in its order, and how it reads texts."""

    folder: Path
    manifest: Manifest
    routing: Routing
    known: Catalogue
    text: TextConfig

    @classmethod
    def read(cls, folder: Path) -> Self:
        manifest = read_manifest(folder)
        frames = [pl.read_parquet(folder / name) for name in (CATALOGUE, LATER) if (folder / name).exists()]
        known = build_catalogue(pl.concat(frames, how="diagonal_relaxed"))
        return cls(
            folder, manifest, read_routing(folder), known, TextConfig.model_validate(manifest.config.get("text", {}))
        )

    def check_unserved(self, category: str) -> None:
        if category in {*self.routing.categories, *self.known.categories}:
            raise InputError(
                f"The live release serves a category {category!r} already. Choose another name; to add items to it: "
                "kuapin import SHOP --items FILE, then kuapin refresh SHOP."
            )


def _encoder(live: _Live, shop: Shop) -> Encoder:
    """The live release's encoder.

    Raises:
        ModelFolderError: it has none, or one whose vectors are of another length than the release's.
    """
    folder, part = live.folder, live.routing.default.encoder
    if part is None:
        raise ModelFolderError(f"Model folder {folder} names no encoder, so that no item can be read. Train again.")
    encoder = load_encoder(folder / part, shop.config.encoding)
    vectors = folder / SOURCES / f"{TEXTS}.safetensors"
    length = load_arrays(vectors)["vectors"].shape[1] if vectors.exists() else encoder.dimension
    if length != encoder.dimension:
        raise ModelFolderError(
            f"Model folder {folder}: its encoder makes vectors of {encoder.dimension} numbers, those in it have "
            f"{length}. Train again: kuapin train {shop.path}"
        )
    return encoder


def _dataset(shop: Shop, fresh: pl.DataFrame) -> Dataset:
    """The shop with the new items in it."""
    table, _ = upsert(c.ITEMS, shop.store.read(c.ITEMS), fresh)
    users = shop.store.read(c.USERS, [c.USER_ID])
    return build_dataset(table, shop.store.read(c.INTERACTIONS, list(LOGGED)), users if users.height else None)


def _read(shop: Shop, catalogue: Catalogue, encoder: Encoder, text: TextConfig, progress: Progress) -> Texts:
    """Encode what was not encoded before, as the live release reads texts."""
    texts = render(catalogue.frame, text)
    vectors = encoded(encoder, text, catalogue.frame, texts, shop.vectors, progress)
    whitening = fit_whitening(vectors)
    config = shop.config.model_copy(update={"text": text})
    labels = shop.store.read(c.LABELS)
    decisions, judge = judged(catalogue.frame, labels, encoder, config, vectors, shop.vectors, progress)
    return Texts(encoder, texts, vectors, whitening, whitening.of(vectors), decisions, judge)


def opening_of(
    config: Config,
    visible: Visible,
    rows: NDArray[np.int32],
    simulation: SimulationConfig | None = None,
    strategy: Strategy | None = None,
    progress: Progress = SILENT,
) -> Opening:
    """What serves the items ``rows`` (ascending) best at the shot level that they have; or a strategy chosen before."""
    return open_category(
        visible,
        rows,
        shot=shot_level(visible, rows),
        hidden=config.live.hidden if visible.histories.timed else config.live.hidden_untimed,
        signals=config.signals,
        ranking=config.ranking,
        sources=config.sources,
        simulation=simulation,
        strategy=strategy,
        progress=progress,
    )


def _publish(
    releases: Releases,
    live: _Live,
    category: str,
    opening: Opening,
    catalogue: Catalogue,
    read: Texts,
    n: int,
    newest: int | None,
) -> str:
    """A release that is not live yet: the live one, which gets to know the new items, and the part that serves them."""
    routing, manifest = live.routing, live.manifest
    with releases.begin() as draft:
        take_over(live.folder, draft.path)
        (draft.path / SAFETY).unlink(missing_ok=True)  # it may be the live release's own file
        read.decisions.write_parquet(draft.path / SAFETY)
        if read.judge is not None:
            read.judge.save(draft.path)
        for place in {part_of(route) for route in (routing.default, *routing.categories.values())}:
            know_later(draft.path / place, catalogue, read, live.text)
        own = write_part(draft.path, category, opening, catalogue, read, routing.default)
        releases.publish(
            draft,
            routing=routing.model_copy(update={"categories": {**routing.categories, category: own}}),
            snapshot=manifest.snapshot,
            fingerprint=manifest.fingerprint,
            config=_said(manifest, category, n, opening, newest),
            metrics=manifest.metrics,
            activate=False,
        )
    return draft.version


def write_part(
    draft: Path, category: str, opening: Opening, catalogue: Catalogue, read: Texts, default: Route
) -> Route:
    """Write what serves an opened category into a draft; returns the route to it."""
    part = f"{PARTS}/{slug(category)}"
    opening.recommender.save(draft / part)
    write_catalogue(catalogue, draft / part)
    save_whitening(read.whitening, draft / part)
    return default.model_copy(update={"ranker": f"{part}/{RANKER}"})


def _said(manifest: Manifest, category: str, n: int, opening: Opening, newest: int | None) -> dict[str, JsonValue]:
    """The manifest's ``config`` with the note and the record of the opening."""
    opened = manifest.config.get(OPENED)
    record: dict[str, JsonValue] = {"items": n, "strategy": opening.strategy, "shot": opening.shot, NEWEST: newest}
    if opening.expectations is not None:
        record["expected"] = expected_json(opening.expectations)
    note = f"{manifest.config.get('note') or ''} {category} opened with {counted(n, 'item')}, by {opening.strategy}."
    before = opened if isinstance(opened, dict) else {}
    return {**manifest.config, "note": note.strip(), OPENED: {**before, category: record}}


def _go_live(
    shop: Shop,
    releases: Releases,
    version: str,
    before: str,
    fresh: pl.DataFrame,
    entries: Sequence[ImportedFile],
) -> None:
    """Store the items and switch; where either fails the new release is taken away again."""
    try:
        if releases.live() != before:
            raise StoreError(f"Another release went live while {shop.path} was at work. Run the command again.")
        shop.store.write({c.ITEMS: fresh}, entries)
        releases.activate(version, after=before)
    except BaseException:
        if releases.live() != version:
            shutil.rmtree(releases.folder / version, ignore_errors=True)
        raise
