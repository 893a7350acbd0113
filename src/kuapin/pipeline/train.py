"""``train``: from a shop's tables to a live release."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import JsonValue

from kuapin import columns as c
from kuapin.config import Config
from kuapin.counts import counted
from kuapin.data.dataset import Catalogue, Dataset
from kuapin.data.suspects import Suspects
from kuapin.encoding.encoder import Encoder
from kuapin.encoding.items import encoded
from kuapin.encoding.opening import open_encoder
from kuapin.errors import GateRefusedError, InputError, ModelFolderError
from kuapin.list_layer import SAFETY
from kuapin.manifest import Route, Routing, part_of, read_routing
from kuapin.model import KEPT, Model
from kuapin.model_folder import Releases
from kuapin.pipeline.assess import judged
from kuapin.pipeline.forget import finish, has_forgotten_since
from kuapin.pipeline.joint_start import check_shops, joint_start
from kuapin.pipeline.served_worse import held_back, lift, noted
from kuapin.pipeline.surfaces import fit_surfaces
from kuapin.pipeline.suspects_report import write_suspects
from kuapin.progress import SILENT, Progress
from kuapin.ranking.live import Fitted, fit_live
from kuapin.ranking.recommender import RANKER
from kuapin.ranking.safety import SCHEMA
from kuapin.ranking.safety_classifier import TextClassifier
from kuapin.ranking.safety_judge import Judge
from kuapin.release_parts import CATALOGUE
from kuapin.retrieval.source import Visible
from kuapin.retrieval.start_folder import open_start
from kuapin.retrieval.whitening import Whitening, fit_whitening, save_whitening
from kuapin.storefront import FOLDER
from kuapin.text.attributes import attributes, with_attributes
from kuapin.text.template import TextConfig, render
from kuapin.workspace import ADAPTED, Shop

ENCODER = "encoder"
NEWEST = "newest"
"""In a manifest's config: unix seconds of the last interaction that the release has learnt from."""
QUICK = "quick"
"""Likewise: there where the release was a first look."""
QUICK_USERS = 400
QUICK_ROUNDS = 40
QUICK_PASSES = 2


def train(shop: Shop, *, quick: bool = False, force: bool = False, progress: Progress = SILENT) -> Model:
    """Encode the items, fit the sources, train the ranker, and publish the release, which goes live.

    Vectors are cached as they come and the user model keeps its state after every pass, so that an interrupted run goes
    on where it was; whatever ends it, the live release stays what it was until the new one is whole.

    Args:
        shop: with items; interactions may be missing, then texts and nothing else speak.
        quick: fewer users asked, fewer trees and passes, the same steps.
        force: train with a tuned encoder although fine-tuning found that it serves a category worse; nothing is held
            against it any more.
        progress: told of every step.

    Raises:
        InputError: there are no items, or the configuration is wrong.
        MissingExtraError: the encoder has to be compiled, which needs the train extra.
        StoreError: another training is running.
        GateRefusedError: the encoder serves a category worse, and it is not forced.
    """
    config = shop.config
    releases = Releases(shop.models, config.releases)
    with shop.run("train") as run:
        snapshot, dataset = tables_of(shop)
        if not force:
            _check_served(shop, releases, dataset.catalogue)
        read = read_texts(shop, dataset.catalogue, progress)
        fitted = fit(config, dataset, read, run, quick=quick, progress=progress)
        sized, visible = _sized(config, quick=quick), learnable(dataset, read, fitted.suspects)
        learned = fit_surfaces(visible, fitted.recommender, shop.store, dataset.users, sized, progress=progress)
        with progress.step("Writing the release"), releases.begin() as draft:
            write_default(draft.path, dataset.catalogue, read, fitted)
            learned.save(draft.path / FOLDER)
            releases.publish(
                draft,
                routing=Routing(default=Route(encoder=ENCODER, ranker=RANKER)),
                snapshot=snapshot,
                fingerprint=snapshot,
                config=described(config, dataset, fitted, quick=quick),
                metrics=fitted.metrics,
            )
        if force:
            lift(shop)
        write_suspects(shop, fitted.suspects.named(dataset))
    finish(shop)
    return Model.load(shop)


@dataclass(frozen=True)
class Texts:
    """What the language model makes of a catalogue.

    Attributes:
        encoder: that read it.
        texts: the masked text of every item, in row order.
        vectors: float32 (n_items, d), unit length.
        whitening: what is done to them before some sources read them.
        white: float32 (n_items, d), the vectors whitened.
        decisions: on every item, whether it may be shown (``ranking.safety.SCHEMA``); empty: nobody asked.
        judge: of items that come later.
    """

    encoder: Encoder
    texts: pl.Series
    vectors: NDArray[np.float32]
    whitening: Whitening
    white: NDArray[np.float32]
    decisions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SCHEMA))
    judge: Judge | None = None


def read_texts(shop: Shop, catalogue: Catalogue, progress: Progress = SILENT) -> Texts:
    """Encode what was not encoded before."""
    config = shop.config
    TextClassifier.open(config.safety)  # if it is missing, that is told before anything is encoded
    texts = render(catalogue.frame, config.text)
    encoder = open_encoder(config.encoding, shop.vectors / "encoders", texts.to_list(), progress, shop.tuned)
    _check_start(shop, encoder)
    vectors = encoded(encoder, config.text, catalogue.frame, texts, shop.vectors, progress)
    whitening = fit_whitening(vectors)
    with progress.step("Looking for what may not be shown"):
        labels = shop.store.read(c.LABELS)
        decisions, judge = judged(catalogue.frame, labels, encoder, config, vectors, shop.vectors, progress)
    return Texts(encoder, texts, vectors, whitening, whitening.of(vectors), decisions, judge)


def _check_served(shop: Shop, releases: Releases, catalogue: Catalogue) -> None:
    """Refuse to move every category to an encoder that serves one of them worse, before work is done.

    Not where what serves one of them may hold sums with a part of somebody who was erased: that has to go.
    """
    if not noted(Path(shop.config.encoding.backbone)):
        return
    live = _whole_live(releases)
    held = {name: why for name, why in held_back(shop, live).items() if name in catalogue.categories}
    if not held:
        return
    worse = (
        f"Training moves everything to the backbone {shop.named_backbone}, by which may be served worse: "
        f"{', '.join(f'{name} ({why})' for name, why in held.items())}."
    )
    if any(has_forgotten_since(shop, version) for version in _trained_for(releases, live, held)):
        warnings.warn(f"{worse} It does, because somebody was erased since what serves them was trained.", stacklevel=3)
        return
    other = f"name another one in {shop.path / 'kuapin.toml'}"
    if live is not None:
        other = f"kuapin refresh {shop.path}, by which they keep what they have"
    raise GateRefusedError(f"{worse} Choose: {other}; or kuapin train {shop.path} --force, which settles it")


def _whole_live(releases: Releases) -> Path | None:
    """Folder of the live release; ``None`` where there is none, or a damaged one, which training replaces."""
    try:
        return releases.open_live()
    except ModelFolderError:
        return None


def _trained_for(releases: Releases, live: Path | None, categories: Iterable[str]) -> set[str]:
    """The live release, and those earlier ones that the parts were made for by which it serves some categories."""
    named = releases.live()
    parts = [] if live is None else [part_of(read_routing(live).of(name)) for name in categories]
    return {version for version in (named, *(Path(part).name for part in parts)) if version}


def _check_start(shop: Shop, encoder: Encoder) -> None:
    """Refuse to begin from the user model of a shop whose texts another language model reads, before work is done."""
    path, adapted = shop.config.sources.sequence.start, shop.backbones / ADAPTED
    if isinstance(path, tuple):
        check_shops(path)
    elif path is not None and open_start(path).encoder != encoder.description.weights_hash:
        tuned = f", and delete {adapted}, for a refresh tuned what this shop reads by" if adapted.exists() else ""
        raise InputError(
            f"[sources.sequence] start = {str(path)!r}: another language model reads that shop's texts. Set the same "
            f"[encoding] backbone and pooling in both{tuned}."
        )


def visible_of(dataset: Dataset, read: Texts, run: Path | None = None) -> Visible:
    """All that there is to learn from, and the folder of the run that learns."""
    now = int(dataset.histories.times.max(initial=0))
    return Visible(dataset.catalogue, dataset.histories, read.vectors, now, read.texts, read.white, folder=run)


def learnable(dataset: Dataset, read: Texts, suspects: Suspects) -> Visible:
    """Likewise, without what no person did."""
    return visible_of(replace(dataset, histories=dataset.histories.keep(suspects.kept)), read)


def fit(
    config: Config,
    dataset: Dataset,
    read: Texts,
    run: Path | None = None,
    *,
    quick: bool = False,
    progress: Progress = SILENT,
) -> Fitted:
    """Fit sources, ranker and scale on a dataset whose catalogue was read; ``run`` as in ``visible_of``."""
    sized = _sized(config, quick=quick)
    visible = visible_of(dataset, read, run)
    return fit_live(
        replace(visible, start=joint_start(sized, read.encoder, run, progress)),
        signals=sized.signals,
        ranking=sized.ranking,
        live=sized.live,
        sources=sized.sources,
        progress=progress,
    )


def write_default(folder: Path, catalogue: Catalogue, read: Texts, fitted: Fitted) -> None:
    """Write the encoder and the default part into a draft."""
    read.encoder.save(folder / ENCODER)
    save_whitening(read.whitening, folder)
    fitted.recommender.save(folder)
    write_catalogue(catalogue, folder)
    read.decisions.write_parquet(folder / SAFETY)
    if read.judge is not None:
        read.judge.save(folder)


def described(config: Config, dataset: Dataset, fitted: Fitted, *, quick: bool = False) -> dict[str, JsonValue]:
    """What a manifest says of how its release came about: the configuration, a note, and up to when it has learnt."""
    histories = dataset.histories
    known = histories.timed or len(histories.items) == 0  # of an empty log nothing was learnt, up to any time
    newest = int(histories.times.max(initial=0)) if known else None
    return config.model_dump(mode="json", exclude={"service"}) | {
        "note": _note(dataset, fitted, quick=quick),
        NEWEST: newest,
        **({QUICK: True} if quick else {}),
    }


def tables_of(shop: Shop) -> tuple[str, Dataset]:
    """The tables, of the shop's own columns the attributes alone, and the name of the snapshot that they are of."""
    while True:
        snapshot = shop.snapshot
        dataset = shop.dataset()
        if snapshot == shop.snapshot:
            return snapshot, with_attributes_alone(dataset, shop.config, shop.config.text)


def with_attributes_alone(dataset: Dataset, config: Config, text: TextConfig) -> Dataset:
    """Without those own columns that neither ``releases.attributes`` nor the template of the texts names."""
    frame = with_attributes(dataset.catalogue.frame, (*config.releases.attributes, *text.columns))
    return replace(dataset, catalogue=replace(dataset.catalogue, frame=frame))


def _sized(config: Config, *, quick: bool) -> Config:
    """The configuration, or for a first look one that takes less time."""
    if not quick:
        return config
    ranking, live, sequence = config.ranking, config.live, config.sources.sequence
    trees = ranking.trees.model_copy(update={"rounds": min(ranking.trees.rounds, QUICK_ROUNDS)})
    short = sequence.model_copy(update={"epochs": min(sequence.epochs, QUICK_PASSES)})
    return config.model_copy(
        update={
            "ranking": ranking.model_copy(update={"trees": trees}),
            "live": live.model_copy(update={"users": min(live.users, QUICK_USERS)}),
            "sources": config.sources.model_copy(update={"sequence": short}),
        }
    )


def write_catalogue(catalogue: Catalogue, folder: Path) -> None:
    """Keep what the release must know of its items, in row order."""
    kept(catalogue.frame).write_parquet(folder / CATALOGUE)


def kept(items: pl.DataFrame) -> pl.DataFrame:
    """The columns ``KEPT``, and of the shop's own text columns what several items share, with personal data replaced.

    A value of one item alone is null: it tells of no other item.
    """
    shared = [values.set(~values.is_duplicated(), None) for values in attributes(items)]
    told = [values for values in shared if values.null_count() < values.len()]
    return items.select(*(name for name in KEPT if name in items.columns), *told)


def _note(dataset: Dataset, fitted: Fitted, *, quick: bool) -> str:
    """In words what stands behind the release."""
    sizes = (
        (len(dataset.catalogue), "item"),
        (len(dataset.users), "user"),
        (len(dataset.histories.items), "interaction"),
    )
    size = ", ".join(counted(*one) for one in sizes)
    suspects = "" if fitted.suspects.kept.all() else fitted.suspects.told()
    if len(dataset.histories.items) == 0:
        return f"{size}: without interactions the texts alone speak, and nothing was measured."
    if not fitted.metrics:
        few = "too few users came back in the hidden part of the log, so that nothing was measured"
        return f"{size}: {few}. {suspects}".strip()
    measured = f"measured on {counted(round(fitted.metrics['held_out_users']), 'held-out user')}"
    return f"{size}; {measured}{'; quick: a first look' if quick else ''}. {suspects}".strip()
