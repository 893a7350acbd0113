"""``train``: from a shop's tables to a live release."""

from pathlib import Path

import polars as pl

from kuapin import columns as c
from kuapin.config import Config
from kuapin.counts import counted
from kuapin.data.dataset import Catalogue, Dataset
from kuapin.encoding.items import encoded
from kuapin.encoding.opening import open_encoder
from kuapin.list_layer import SAFETY
from kuapin.manifest import Route, Routing
from kuapin.model import CATALOGUE, KEPT, Model
from kuapin.model_folder import Releases
from kuapin.pipeline.assess import assess
from kuapin.progress import SILENT, Progress
from kuapin.ranking.live import Fitted, LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import RANKER
from kuapin.retrieval.source import Visible
from kuapin.retrieval.whitening import whiten
from kuapin.text.template import render
from kuapin.workspace import Shop

ENCODER = "encoder"
QUICK_USERS = 400
QUICK_ROUNDS = 40


def train(shop: Shop, *, quick: bool = False, progress: Progress = SILENT) -> Model:
    """Encode the items, fit the sources, train the ranker, and publish the release, which goes live.

    Vectors are cached as they come, so that an interrupted run goes on where it was; whatever ends it, the live
    release stays what it was until the new one is whole.

    Args:
        shop: with items; interactions may be missing, then texts and nothing else speak.
        quick: fewer users asked and fewer trees, the same steps.
        progress: told of every step.

    Raises:
        InputError: there are no items, or the configuration is wrong.
        MissingExtraError: the encoder has to be compiled, which needs the train extra.
        StoreError: another training is running.
    """
    config = shop.config
    releases = Releases(shop.models, config.releases)
    with shop.run("train"):
        snapshot, dataset = _dataset(shop)
        texts = render(dataset.catalogue.frame, config.text)
        encoder = open_encoder(config.encoding, shop.vectors / "encoders", texts.to_list(), progress)
        vectors = encoded(encoder, config.text, dataset.catalogue.frame, texts, shop.vectors, progress)
        histories = dataset.histories
        now = int(histories.times.max(initial=0))
        visible = Visible(dataset.catalogue, histories, vectors, now, texts, whiten(vectors))
        ranking, live = _sized(config, quick=quick)
        fitted = fit_live(
            visible, signals=config.signals, ranking=ranking, live=live, sources=config.sources, progress=progress
        )
        with progress.step("Looking for what may not be shown"):
            labels = shop.store.read(c.LABELS)
            decisions = assess(dataset.catalogue.frame, labels, encoder, config, vectors, shop.vectors)
        with progress.step("Writing the release"), releases.begin() as draft:
            encoder.save(draft.path / ENCODER)
            fitted.recommender.save(draft.path)
            write_catalogue(dataset.catalogue, draft.path)
            decisions.write_parquet(draft.path / SAFETY)
            releases.publish(
                draft,
                routing=Routing(default=Route(encoder=ENCODER, ranker=RANKER)),
                snapshot=snapshot,
                fingerprint=snapshot,
                config=config.model_dump(mode="json") | {"note": _note(dataset, fitted, quick=quick)},
                metrics=fitted.metrics,
            )
    return Model.load(shop)


def _dataset(shop: Shop) -> tuple[str, Dataset]:
    """The tables and the name of the snapshot that they are of."""
    while True:
        snapshot = shop.snapshot
        dataset = shop.dataset()
        if snapshot == shop.snapshot:
            return snapshot, dataset


def _sized(config: Config, *, quick: bool) -> tuple[RankingConfig, LiveConfig]:
    ranking, live = config.ranking, config.live
    if not quick:
        return ranking, live
    trees = ranking.trees.model_copy(update={"rounds": min(ranking.trees.rounds, QUICK_ROUNDS)})
    return ranking.model_copy(update={"trees": trees}), live.model_copy(update={"users": min(live.users, QUICK_USERS)})


def write_catalogue(catalogue: Catalogue, folder: Path) -> None:
    """Keep what the release must know of its items, in row order."""
    kept = [name for name in KEPT if name in catalogue.frame.columns]
    catalogue.frame.select(pl.col(name) for name in kept).write_parquet(folder / CATALOGUE)


def _note(dataset: Dataset, fitted: Fitted, *, quick: bool) -> str:
    """In words what stands behind the release."""
    sizes = (
        (len(dataset.catalogue), "item"),
        (len(dataset.users), "user"),
        (len(dataset.histories.items), "interaction"),
    )
    size = ", ".join(counted(*one) for one in sizes)
    if len(dataset.histories.items) == 0:
        return f"{size}: without interactions the texts alone speak, and nothing was measured."
    if not fitted.metrics:
        return f"{size}: too few users came back in the hidden part of the log, so that nothing was measured."
    measured = f"measured on {counted(round(fitted.metrics['held_out_users']), 'held-out user')}"
    return f"{size}; {measured}{'; quick: a first look' if quick else ''}."
