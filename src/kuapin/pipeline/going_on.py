"""Whether a refresh goes on from the live release, or trains everything anew."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from kuapin.data.dataset import Dataset, build_catalogue
from kuapin.evaluation.drift import Moved
from kuapin.manifest import Manifest, part_of, read_routing
from kuapin.pipeline.forget import has_forgotten_since
from kuapin.pipeline.newest import Newest
from kuapin.pipeline.served_worse import read_by
from kuapin.pipeline.train import QUICK, Texts
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.routed import Routed
from kuapin.release_parts import CATALOGUE
from kuapin.retrieval.sources.sequence import Sequence
from kuapin.retrieval.whitening import load_whitening
from kuapin.workspace import Shop

WENT_ON = "went_on"
"""In a manifest's config: how many refreshes in a row have gone on since everything was trained."""
READ_BY_ALL = ("seed", "text", "encoding", "sources", "signals", "ranking", "live")
"""Settings by which a release was trained."""
COUNTED = "popularity"
"""The drift that sources follow by themselves, as they count anew."""


def went_on(manifest: Manifest) -> int:
    """How many refreshes in a row have gone on up to a release."""
    said = manifest.config.get(WENT_ON, 0)
    return said if isinstance(said, int) else 0


def why_anew(
    shop: Shop,
    manifest: Manifest,
    live: Path,
    dataset: Dataset,
    newest: Newest,
    drift: tuple[Moved, ...],
    recommender: Recommender,
    read: Texts,
) -> str | None:
    """Why the live release cannot be gone on from, in words; ``None``: it can.

    Args:
        shop: its settings.
        manifest: of the live release.
        live: its folder.
        dataset: the shop of today.
        newest: how its log is cut.
        drift: what moved since.
        recommender: of the live release, that of the categories without a part of their own.
        read: the texts of today.
    """
    settings = shop.config.refresh
    if not settings.warm:
        return "[refresh] warm is false"
    now = shop.config.model_dump(mode="json")
    changed = [name for name in READ_BY_ALL if manifest.config.get(name) != now[name]]
    if changed:
        return f"settings were changed since: {', '.join(changed)}"
    if read_by(live, read_routing(live).default) != read.encoder.description.weights_hash:
        return "another language model reads"
    if has_forgotten_since(shop, live.name):
        return "somebody was erased since the live release was trained"
    model = recommender.signals.signals.get(Sequence.name)
    if model is not None and find_spec("torch") is None:
        return "its user model cannot be trained here: pip install 'kuapin[train]'"
    if model is not None and not (isinstance(model.source, Sequence) and model.source.can_go_on):
        return "the live release does not hold what its user model would go on from"
    if manifest.config.get(QUICK):
        return "the live release was a first look"
    if not manifest.metrics:
        return "the live release could not be measured"
    if not newest.unseen:
        return "the live release has learnt from what both are asked for"
    if went_on(manifest) >= settings.anew_after:
        return f"{settings.anew_after} refreshes went on since the last full training"
    before = build_catalogue(pl.read_parquet(live / part_of(read_routing(live).default) / CATALOGUE)).categories
    if dataset.catalogue.categories != before:
        return "the categories are others"
    moved = [one.part for one in drift if one.much and one.part != COUNTED]
    return f"{' and '.join(moved)} moved much" if moved else None


def default_of(recommender: Recommender | Routed) -> Recommender:
    """What serves the categories that have no part of their own."""
    return recommender.default if isinstance(recommender, Routed) else recommender


def whitened_as(read: Texts, live: Path) -> Texts:
    """The texts with the whitening of a release, which its user model was trained on."""
    whitening = load_whitening(live / part_of(read_routing(live).default))
    return replace(read, whitening=whitening, white=whitening.of(read.vectors))
