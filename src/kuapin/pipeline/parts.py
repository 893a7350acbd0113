"""Releases out of several parts: what a release takes over from the one before it.

Files of a release never change, so they are linked where the file system can, not copied.
"""

import hashlib
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from kuapin import columns as c
from kuapin.data.dataset import Catalogue, Dataset, build_catalogue
from kuapin.encoding.items import encoded_now
from kuapin.encoding.opening import load_encoder
from kuapin.errors import ModelFolderError
from kuapin.integrity import files_of
from kuapin.manifest import MANIFEST, ROUTING, Manifest, Route, part_of
from kuapin.pipeline.train import ENCODER, Texts, kept
from kuapin.ranking.recommender import DESCRIPTION, RANKER, SOURCES
from kuapin.release_parts import CATALOGUE, LATER, LATER_VECTORS, PARTS, write_later
from kuapin.retrieval.whitening import WHITENING, load_whitening
from kuapin.text.attributes import with_attributes
from kuapin.text.template import TextConfig

OF_A_PART = (CATALOGUE, DESCRIPTION, RANKER, SOURCES, WHITENING)
"""Files and folders that a part consists of; what came later is written anew."""


def identity(manifest: Manifest, part: str) -> str:
    """Hash of what a part of a release consists of: the same in every release that takes it over, whatever its name.

    Args:
        manifest: of the release.
        part: ``.``, or ``parts/<name>``.
    """
    prefix = "" if part == "." else f"{part}/"
    inside = {path.removeprefix(prefix): entry for path, entry in manifest.files.items() if path.startswith(prefix)}
    own = sorted((path, entry.sha256) for path, entry in inside.items() if path.split("/")[0] in OF_A_PART)
    return hashlib.sha256(repr(own).encode()).hexdigest()[:16]


def take_over(release: Path, draft: Path) -> None:
    """Put all that a release holds into an empty draft, but what names the release itself."""
    for path in files_of(release):
        if path not in (MANIFEST, ROUTING):
            _link(release / path, draft / path)


def keep_part(
    release: Path,
    route: Route,
    draft: Path,
    name: str,
    whole: Catalogue,
    read: Texts,
    text: TextConfig | None = None,
    *,
    own_encoder: bool = False,
) -> Route:
    """Put the part that a route of a release names into a draft, as ``parts/<name>``, with the items of today.

    Args:
        release: folder of the release before.
        route: to the part.
        draft: of the release to come.
        name: of the part there.
        whole: the catalogue of the release to come; it begins with the items of the part, in their order.
        read: what the language model of the release to come makes of it.
        text: how an item becomes a text; asked for where the part has an encoder of its own.
        own_encoder: whether the part is read by another encoder than the release to come, and takes it along.

    Returns:
        The route to it, the same user model named; the same encoder, or where it now lies.

    Raises:
        ModelFolderError: the catalogue does not begin so, or the part cannot take new items.
    """
    part, target = release / part_of(route), draft / PARTS / name
    for path in files_of(part):
        if path.split("/")[0] in OF_A_PART:
            _link(part / path, target / path)
    if own_encoder and route.encoder is not None:
        for path in files_of(release / route.encoder):
            _link(release / route.encoder / path, target / ENCODER / path)
        route = route.model_copy(update={"encoder": f"{PARTS}/{name}/{ENCODER}"})
    know_later(target, whole, read, text)
    return route.model_copy(update={"ranker": f"{PARTS}/{name}/{RANKER}"})


def know_later(part: Path, whole: Catalogue, read: Texts, text: TextConfig | None = None) -> None:
    """Let a part in a draft know the items of a catalogue that come behind its own; arguments as of ``keep_part``.

    A part in ``parts/`` with an encoder in its folder is read by it, all others by that of ``read``.
    """
    for name in (LATER, LATER_VECTORS):
        (part / name).unlink(missing_ok=True)  # a link: the release before keeps its own
    own = pl.read_parquet(part / CATALOGUE, columns=[c.ITEM_ID])[c.ITEM_ID]
    if not whole.items.ids.head(own.len()).equals(own):
        raise ModelFolderError(f"{part} knows items in another order than the shop. Train again: kuapin train SHOP")
    if own.len() == len(whole):
        return
    later = kept(whole.frame)[own.len() :]
    vectors = read.vectors[own.len() :]
    if part.parent.name == PARTS and (part / ENCODER).is_dir():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a missing title was told of already
            vectors = encoded_now(load_encoder(part / ENCODER), text or TextConfig(), whole.frame[own.len() :])
    write_later(part, later, np.ascontiguousarray(load_whitening(part).of(vectors)))


def in_order_of(dataset: Dataset, known: Catalogue) -> Dataset:
    """The same shop with the items that a release knows first, in its order; those that are gone are not available.

    So all parts of the next release know the same items, row by row.
    """
    items = dataset.catalogue.frame
    gone = with_attributes(known.frame, items.columns).filter(~pl.col(c.ITEM_ID).is_in(items[c.ITEM_ID].implode()))
    whole = pl.concat([items, gone.with_columns(pl.lit(value=False).alias(c.AVAILABLE))], how="diagonal_relaxed")
    place = pl.DataFrame({c.ITEM_ID: known.items.ids, "place": np.arange(len(known))})
    ordered = whole.join(place, on=c.ITEM_ID, how="left", maintain_order="left")
    catalogue = build_catalogue(ordered.sort("place", nulls_last=True, maintain_order=True).drop("place"))
    rows = catalogue.items.rows(dataset.catalogue.items.ids)[dataset.histories.items]
    return replace(
        dataset, catalogue=catalogue, histories=replace(dataset.histories, items=rows, n_items=len(catalogue))
    )


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
