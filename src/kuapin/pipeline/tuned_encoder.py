"""A refresh whose texts or categories have moved tunes the language model by an adapter."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kuapin import columns as c
from kuapin.config import read_preset, validated
from kuapin.data.dataset import Dataset
from kuapin.durable import write_durably
from kuapin.encoding import e5
from kuapin.errors import InputError, KuapinError, StoreError
from kuapin.evaluation.drift import Moved
from kuapin.finetuning.adapting import adapt, run_key
from kuapin.finetuning.material import Material
from kuapin.finetuning.presets import find_preset
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.tokens import USUAL_LENGTH
from kuapin.model_folder import Releases
from kuapin.pipeline.finetune import starting_backbone
from kuapin.pipeline.newest import Newest
from kuapin.pipeline.served_worse import held_back, write_note
from kuapin.progress import SILENT, Progress
from kuapin.text.template import render, render_titles
from kuapin.workspace import ADAPTED, TUNED, Shop

PRESET = "refresh"
READ = ("categories", "texts")
"""The drift that the language model has to do with."""


@dataclass(frozen=True)
class Tuned:
    """What became of the language model.

    Attributes:
        shop: the same, read by the tuned language model; nothing on disk says so before ``keep``.
        name: of the folder in ``shop/backbones``.
        named: the backbone that ``kuapin.toml`` named when it was tuned.
    """

    shop: Shop
    name: str
    named: str

    def keep(self) -> None:
        """Read the shop by it from now on, as long as ``kuapin.toml`` names the same backbone as before."""
        said = {"from": self.named, "to": self.name}
        write_durably(self.shop.backbones / ADAPTED, json.dumps(said).encode())

    def tidy(self, *, served: bool) -> None:
        """Remove the folder if nobody is served by it, else those that it replaces, but for the one that is named."""
        for path in self.shop.backbones.glob(f"{TUNED}*"):
            if (path.name == self.name) != served and path.name != Path(self.named).name:
                shutil.rmtree(path)


def wants_tuning(shop: Shop, drift: Sequence[Moved]) -> bool:
    """Whether the language model is to be tuned again: it has to do with what moved, and training is installed.

    A shop that begins from another's user model has to read as that shop does.
    """
    moved = any(one.much and one.part in READ for one in drift)
    free = shop.config.refresh.encoder and shop.config.sources.sequence.start is None
    return moved and free and can_tune()


def can_tune() -> bool:
    """Whether what training needs is installed."""
    return all(map(find_spec, ("torch", "peft")))


def tuned(shop: Shop, before: Dataset, newest: Newest, progress: Progress = SILENT) -> Tuned | str:
    """Tune the language model by the preset ``refresh``; an interrupted run of the same tables goes on.

    Args:
        shop: whose language model it is.
        before: what may be learnt from, in the catalogue of today.
        newest: how the log is cut; the part before the cut is learnt from.
        progress: told of every step.

    Returns:
        What became of it; or why it stays as it is.
    """
    if shop.config.encoding.backbone == e5.NAME:
        return "The bundled e5 has 4-bit weights, which cannot be trained."
    config = validated(FinetuningConfig, read_preset(find_preset(PRESET)), f"preset {PRESET}")
    config = config.model_copy(update={"seed": shop.config.seed})
    why = "Much moved, so that the language model is tuned (refresh.encoder = false leaves it)"
    with progress.step(why):
        frame = before.catalogue.frame
        material = Material(
            dataset=before,
            texts=tuple(render(frame, shop.config.text).to_list()),
            titles=tuple(render_titles(frame, shop.config.text)),
            allowed=np.ones(len(before.catalogue), np.bool_),
            labels=shop.store.read(c.LABELS),
            log=newest.before,
            seed=config.seed,
        )
    named = shop.named_backbone
    try:
        backbone = starting_backbone(shop, config, material)
    except InputError as error:
        return str(error)
    config = config.model_copy(update={"max_length": min(config.max_length or USUAL_LENGTH, backbone.max_length)})
    key = run_key(config, backbone, material, f"{shop.snapshot} {newest.cut}")
    name = f"{TUNED}{key[:8]}"
    target: Path = shop.backbones / name
    with shop.run(f"finetune-{key}") as run:
        try:
            if not target.is_dir():  # whoever was interrupted later has it already
                adapt(material, config, backbone, run, target, progress)
        except StoreError:
            raise
        except KuapinError as error:
            return str(error)
    live = Releases(shop.models).live()
    # A small change of it: what has not moved to it stays held back, and what has goes on with it
    write_note(target, held_back(shop, None if live is None else shop.models / live))
    other = Shop(shop.path)
    encoding = shop.config.encoding.model_copy(update={"backbone": str(target.resolve())})
    other.config = shop.config.model_copy(update={"encoding": encoding})
    return Tuned(other, name, named)
