"""``finetune``: the language model learns the shop, and whether lists got better by it."""

import hashlib
import json
import shutil
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Dataset
from kuapin.durable import written_whole
from kuapin.encoding import e5
from kuapin.encoding.backbone import CHANGE, Backbone
from kuapin.encoding.opening import open_encoder
from kuapin.errors import InputError
from kuapin.evaluation.bootstrap import Interval, change_interval, difference_interval
from kuapin.finetuning.adapting import Adapted, adapt, checked, run_key
from kuapin.finetuning.change import DESCRIPTION
from kuapin.finetuning.material import Material, chosen_categories, only
from kuapin.finetuning.memory import enough_memory
from kuapin.finetuning.objective import Measured
from kuapin.finetuning.objectives.registry import OBJECTIVES, check_heeded, leaves_encoder
from kuapin.finetuning.scratch import write_scratch
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import STRATEGIES
from kuapin.pipeline.encoder_audit import EncoderAudit, audit
from kuapin.pipeline.ensemble import check_ensemble, measured_together, member_folder
from kuapin.pipeline.served_worse import UNMEASURED, noted, write_note
from kuapin.pipeline.text_zero_shot import Opening, compared, openings
from kuapin.progress import SILENT, Progress
from kuapin.text.template import render, render_titles
from kuapin.workspace import Shop

STARTING_POINT = "starting_point.txt"
"""In folders that Kuapin wrote to start from, and may remove when nothing does any more."""


@dataclass(frozen=True)
class Finetuned:
    """A new backbone, and what it is worth.

    Attributes:
        name: its folder's name in ``shop/backbones``; ``encoding.backbone`` takes it.
        adapted: what training did.
        gains: metric → after minus before, paired, of the objective's own metrics that can be told by example.
        compared_with: the encoder that the shop has, which lists and what is carried are compared with.
        openings: what text alone finds at the opening of categories, by that encoder and by the new one; empty where
            nobody could be asked.
        unasked: categories that fewer than ``LEAST_TEST_USERS`` could be asked about; they have no verdict.
        audit: what both encoders carry from their pre-training; ``None`` where nobody wanted to know.
        ensemble: metrics of what several classifiers say on average, where several were trained.
    """

    name: str
    adapted: Adapted
    gains: dict[str, Interval]
    compared_with: str
    openings: tuple[Opening, ...]
    audit: EncoderAudit | None = None
    ensemble: dict[str, float] = field(default_factory=dict)
    unasked: tuple[str, ...] = ()


def finetune(
    shop: Shop, config: FinetuningConfig, *, measure: bool = True, force: bool = False, progress: Progress = SILENT
) -> Finetuned:
    """Adapt the language model to a shop's texts and log; nothing that is live changes.

    The result is compared with the encoder that the shop has, whatever the training started from. Users who are asked
    then are in no training. An interrupted run is taken up by the same call.

    Args:
        shop: with items.
        config: objective, strategy, and all else.
        measure: whether to compare lists by text alone, and what the encoder carries, with the encoder that the shop
            has.
        force: let it serve even the categories that it serves worse; else ``train`` and ``refresh`` hold them back.
        progress: told of every step.

    Raises:
        InputError: the tables do not allow the objective, or a backbone does not exist or cannot be trained.
        KuapinError: training failed.
        StoreError: the same run is going on in another process.
    """
    check_settings(config)
    snapshot, dataset = shop.snapshot, shop.dataset()
    allowed = chosen_categories(dataset, config.source_categories)
    asked = openings(dataset, allowed, config.seed) if measure else ()
    material = material_of(shop, dataset, allowed, asked_users(dataset, asked), config.seed)
    backbone = starting_backbone(shop, config, material)
    check_stages(config, backbone)
    if measure:  # what cannot be opened is told of before the training, not behind it
        open_encoder(shop.config.encoding, shop.vectors / "encoders", list(material.texts), progress, shop.tuned)
    key = run_key(config, backbone, material, snapshot)
    name = f"{config.objective}-{config.strategy}-{key[:8]}"
    target = shop.backbones / name
    with shop.run(f"finetune-{key}") as run:
        if target.is_dir() and not (run / "main").is_dir():
            warnings.warn(f"{name} is there already, of the same settings and tables; it is made anew.", stacklevel=2)
        first = target.with_name(f"{target.name}-first")
        started = pretrained(material, config, backbone, _part(run, "first"), first, progress)
        partial = target.with_name(f".{name}")
        adapted = adapt(material, of_one_objective(config), started, _part(run, "main"), partial, progress)
        write_note(partial, {} if force else noted(target) | {one.category: UNMEASURED for one in asked})
        shutil.rmtree(target, ignore_errors=True)
        adapted = replace(adapted, folder=partial.rename(target))
        for number in range(2, config.ensemble + 1):
            member = of_one_objective(config).model_copy(update={"seed": config.seed + number - 1})
            place = member_folder(target, number)
            adapt(material, member, started, _part(run, f"member-{number}"), place, progress)
        together = measured_together(target, material, config) if config.ensemble > 1 else {}
        encoding = shop.config.encoding.model_copy(update={"backbone": str(target.resolve())})
        advice = f"Lower encoding.token_budget, or close other programs; the new backbone is kept in {target}."
        with enough_memory(lambda: "while the shop was read with the new backbone", advice):
            open_encoder(encoding, shop.vectors / "encoders", list(material.texts), progress)  # compiled once, here
            found = compared(shop, dataset, asked, target, progress)
            if measure and not force:
                write_note(target, {one.category: one.reason for one in found if one.worse})
            gains = _gains(adapted.outcome.before, adapted.outcome.after)
            carried = audit(shop, dataset, str(target.resolve()), config.seed, progress) if measure else None
    prune(shop)
    named = {opening.category for opening in asked}
    unasked = tuple(one for one in dataset.catalogue.categories if one not in named) if measure else ()
    return Finetuned(name, adapted, gains, _own_name(shop), found, carried, together, unasked)


def _own_name(shop: Shop) -> str:
    """What the shop's encoder is called; one of its own backbones by its folder's name."""
    path = Path(shop.config.encoding.backbone)
    return path.name if path.parent == shop.backbones.resolve() else str(path)


def prune(shop: Shop) -> tuple[str, ...]:
    """Remove starting points that nothing starts from any more; nothing while a run or a search is going on.

    These are first stages (``NAME-first``) and models from scratch (``scratch-…``), as Kuapin marked them, that no
    ``change/`` in ``shop/backbones`` names, whatever state that is in, nor the configuration.

    Returns:
        Names of what was removed.
    """
    if any(shop.runs.glob("finetune-*")) or any(shop.runs.glob("search-*")):
        return ()
    told = [path.read_bytes() for path in shop.backbones.glob(f"*/{CHANGE}/{DESCRIPTION}")]
    told.append(Path(shop.config.encoding.backbone).name.encode())
    stages = [path.parent for path in shop.backbones.glob(f"[!.]*/{STARTING_POINT}")]
    loose = sorted(path for path in stages if not any(path.name.encode() in one for one in told))
    for path in loose:
        shutil.rmtree(path)
    return tuple(path.name for path in loose)


def _gains(before: Measured, after: Measured) -> dict[str, Interval]:
    gains = {}
    for metric in after.values:
        if metric in after.rows and len(after.rows[metric]) == len(before.rows[metric]):
            gains[metric] = difference_interval(after.rows[metric], before.rows[metric], clusters=after.clusters)
        elif metric in after.counted and after.counted[metric].rows.shape == before.counted[metric].rows.shape:
            a, b = after.counted[metric], before.counted[metric]
            gains[metric] = change_interval(a.rows, b.rows, a.of_means, clusters=after.clusters)
    return gains


def material_of(
    shop: Shop, dataset: Dataset, allowed: NDArray[np.bool_], left_out: NDArray[np.bool_], seed: int
) -> Material:
    """What may be learnt from: texts, log and labels of the allowed items, without some users.

    Args:
        shop: whose tables.
        dataset: the same as arrays.
        allowed: bool (n_items,).
        left_out: bool (n_users,), users who are in no training.
        seed: of every draw.
    """
    frame, histories = dataset.catalogue.frame, dataset.histories
    texts = render(frame, shop.config.text).to_list()
    kept = histories.keep(allowed[histories.items] & ~left_out[histories.users])
    ids = frame[c.ITEM_ID].filter(pl.Series(allowed))
    users = pl.Series(dataset.users.ids).filter(pl.Series(~left_out))
    log = only(shop.store.read(c.INTERACTIONS), ids).filter(pl.col(c.USER_ID).is_in(users.implode()))
    return Material(
        dataset=replace(dataset, histories=kept),
        texts=tuple(texts),
        titles=tuple(render_titles(frame, shop.config.text)),
        allowed=allowed,
        labels=shop.store.read(c.LABELS),
        log=log,
        seed=seed,
    )


def starting_backbone(shop: Shop, config: FinetuningConfig, material: Material) -> Backbone:
    """Where training starts; a model from scratch is written to ``shop/backbones``, once for its settings and texts."""
    if not config.from_scratch:
        return Backbone.resolve(_backbone_name(shop, config), shop.config.encoding.chosen_pooling, shop.tuned)
    if config.backbone is not None:
        raise InputError(
            f"from_scratch starts without a backbone, and {config.backbone!r} was given. Drop one of them."
        )
    left = "left" in {OBJECTIVES[name].reads for name in (config.objective, config.first) if name is not None}
    texts = [material.texts[row] for row in material.text_rows()]
    parts = [config.scratch.model_dump(mode="json"), left, config.seed, texts]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
    folder = shop.backbones / f"scratch-{'gpt' if left else 'bert'}-{digest}"
    if not (folder / STARTING_POINT).is_file():
        with written_whole(folder) as partial:
            write_scratch(partial, texts, config.scratch, left_to_right=left, seed=config.seed)
            _mark(partial)
    return Backbone.resolve(str(folder.resolve()), shop.config.encoding.chosen_pooling)


def pretrained(
    material: Material, config: FinetuningConfig, backbone: Backbone, run: Path, folder: Path, progress: Progress
) -> Backbone:
    """The backbone after the objective that comes first, where there is one.

    Args:
        material: what may be read.
        config: all settings.
        backbone: to start from.
        run: folder for checkpoints.
        folder: of the result; where it is there already, nothing trains.
        progress: told of every step.
    """
    stage = first_stage(config)
    if stage is None:
        return backbone
    if not folder.is_dir():
        adapt(material, stage, backbone, run, folder, progress)
    _mark(folder)
    return Backbone.resolve(str(folder.resolve()), backbone.pooling)


def _mark(folder: Path) -> None:
    said = "Kuapin wrote this folder to start from, and removes it when nothing does. Delete this file to keep it.\n"
    (folder / STARTING_POINT).write_text(said, encoding="utf-8")


def first_stage(config: FinetuningConfig) -> FinetuningConfig | None:
    """The settings of the objective that comes first."""
    if config.first is None:
        return None
    return of_one_objective(config).model_copy(update={"objective": config.first, "training": config.first_training})


def check_settings(config: FinetuningConfig) -> None:
    """Raise ``InputError`` where settings do not belong together, before anything is read."""
    check_ensemble(config)
    check_heeded(config)
    stage = first_stage(config)
    if stage is not None and leaves_encoder(stage):
        raise InputError(
            f"first is {config.first} and the strategy is head-only, which leaves the encoder as it was, so that there "
            f"is nothing for {config.objective} to start from. Choose another strategy, or leave first out."
        )


def check_stages(config: FinetuningConfig, backbone: Backbone) -> None:
    """Raise ``InputError`` where any stage cannot be trained on the backbone, before the first one is."""
    stage = first_stage(config)
    if stage is not None and not STRATEGIES[config.strategy].mergeable:
        raise InputError(
            f"first is {config.first} and the strategy is {config.strategy}, whose change lies beside the weights, so "
            f"that {config.objective} would start without it. Choose a strategy such as lora, or leave first out."
        )
    checked(of_one_objective(config), backbone if stage is None else checked(stage, backbone))


def of_one_objective(config: FinetuningConfig) -> FinetuningConfig:
    """The settings of one objective."""
    return config.model_copy(update={"first": None})


def _part(run: Path, name: str) -> Path:
    folder = run / name
    folder.mkdir(exist_ok=True)
    return folder


def asked_users(dataset: Dataset, asked: tuple[Opening, ...]) -> NDArray[np.bool_]:
    """The users of some openings, bool (n_users,)."""
    out = np.zeros(len(dataset.users), np.bool_)
    for opening in asked:
        out[opening.launch.test_users] = True
    return out


def _backbone_name(shop: Shop, config: FinetuningConfig) -> str:
    name = config.backbone or shop.config.encoding.backbone
    own: Path = shop.path / "backbones" / Path(name).name
    if own.name == name and own.is_dir():
        return str(own.resolve())
    if name == e5.NAME:
        raise InputError(
            "The bundled e5 has 4-bit weights, which cannot be trained. Give --backbone "
            "intfloat/multilingual-e5-small, or a folder with its weights."
        )
    return name
