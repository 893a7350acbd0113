"""One run of fine-tuning: from a backbone and a shop's material to a backbone that has learned from it."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kuapin.device import training_device
from kuapin.durable import written_whole
from kuapin.encoding import additions
from kuapin.encoding.backbone import CHANGE, Backbone
from kuapin.errors import InputError
from kuapin.finetuning.backbone_folder import write_backbone
from kuapin.finetuning.change import assembled, repooled, save_change, whitens
from kuapin.finetuning.material import Material
from kuapin.finetuning.memory import enough_memory
from kuapin.finetuning.objective import Objective
from kuapin.finetuning.objectives.registry import OBJECTIVES, make_objective
from kuapin.finetuning.reader import Reader, positions, reads_left_to_right
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.tokens import Tokens
from kuapin.finetuning.trainer import CURVES, Outcome, fit, planned_steps
from kuapin.finetuning.whitening import fit_projection
from kuapin.progress import SILENT, Progress

LEAST_TOKENS = 8
"""Shorter texts than that are not worth reading."""


@dataclass(frozen=True)
class Adapted:
    """A finished run.

    Attributes:
        folder: the new backbone.
        outcome: what training did and measured.
        examples: how many there were to learn from.
        held_out: how many were measured, by ``outcome.before`` and ``outcome.after``.
        learnt_from: what the examples are, where their number does not tell.
    """

    folder: Path
    outcome: Outcome
    examples: int
    held_out: int
    learnt_from: str = ""


def adapt(
    material: Material,
    config: FinetuningConfig,
    backbone: Backbone,
    run: Path,
    target: Path,
    progress: Progress = SILENT,
    watch: Callable[[int, float], None] = lambda step, value: None,
) -> Adapted:
    """Train, keep the best checkpoint, and write the result as a backbone folder.

    Args:
        material: what may be read.
        config: all settings.
        backbone: to start from.
        run: folder for checkpoints; what an interrupted run left there is taken up.
        target: the new backbone's folder; written when all is done.
        progress: told of every step.
        watch: told the step and the metric of every measurement; what it raises ends the training.

    Raises:
        InputError: the material does not allow the objective, or the backbone reads the wrong way or too little for it.
        KuapinError: training failed; nothing was written to ``target``.
    """
    backbone = checked(config, backbone)
    material = material.titles_as_texts() if config.reads == "title" else material
    with progress.step("Drawing examples"):
        objective = make_objective(config, material)
    strategy = make_strategy(config)
    steps = planned_steps(config.training, len(objective.train))
    tokens = Tokens(backbone, config.max_length)
    with enough_memory(lambda: "while the model was made ready"):
        reader = assembled(backbone, type(objective), objective.facts, strategy, config, steps)
        reader.to(training_device())
        _tell_of_new_head(reader, config, backbone)
        whiten = _whitening(reader, objective, tokens, config, material)
        whiten()
        objective.warm_start(reader, tokens, config.training.batch_size)
    outcome = fit(
        reader,
        objective,
        strategy,
        tokens,
        config.training,
        run,
        progress,
        finish=whiten,
        watch=watch,
        seed=config.seed,
    )
    writing = enough_memory(lambda: "while the backbone was written")
    with progress.step("Writing the backbone"), writing, written_whole(target) as folder:
        write_backbone(folder, reader, strategy, repooled(backbone, config), tokens)
        save_change(folder / CHANGE, reader, objective, strategy, backbone, config, steps)
        if (run / CURVES).is_dir():
            shutil.copytree(run / CURVES, folder / CURVES)
    held_out = len(objective.halves()[1].held_out)
    return Adapted(target, outcome, len(objective.train), held_out, objective.learnt_from)


def _whitening(
    reader: Reader, objective: Objective, tokens: Tokens, config: FinetuningConfig, material: Material
) -> Callable[[], None]:
    """Fits the whitening projection to what the reader gives now; does nothing where there is none."""
    if not whitens(config, type(objective)):
        return lambda: None
    rows = material.rng("whitening").permutation(material.text_rows())[: config.whitening.texts]
    texts = [material.texts[row] for row in rows]
    size = config.training.batch_size
    return lambda: fit_projection(reader, tokens, texts, config.whitening.shrinkage, size)


def run_key(config: FinetuningConfig, backbone: Backbone, material: Material, snapshot: str) -> str:
    """Names a run by all that its result depends on; 12 hexadecimal digits.

    Args:
        config: all settings.
        backbone: to start from.
        material: its texts, which hang on ``[text]`` too, and whose histories are in it.
        snapshot: of the tables that the material comes from.
    """
    parts = [config.model_dump(mode="json"), backbone.weights_hash, snapshot, material.texts, material.titles]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for array in (material.histories.indptr, material.histories.items):
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def checked(config: FinetuningConfig, backbone: Backbone) -> Backbone:
    """The backbone with the longest text that it reads by the settings' strategy, before work is done.

    Raises:
        InputError: it reads the wrong way for the objective, or too little for ``max_length``, or it has additions.
    """
    _check_direction(config, backbone)
    if (backbone.folder / additions.DESCRIPTION).is_file():
        raise InputError(
            f"{backbone.name!r} has what an adapter or a prefix learned beside its weights, and training would start "
            "without it. Start from the backbone that it was trained on, or train that by a strategy such as lora."
        )
    backbone = _shortened(backbone, make_strategy(config).positions)
    if config.max_length is not None and config.max_length > backbone.max_length:
        raise InputError(
            f"max_length is {config.max_length}; {backbone.name!r} reads {backbone.max_length} tokens at most. "
            f"Set it to {backbone.max_length} or less."
        )
    return backbone


def _shortened(backbone: Backbone, taken: int) -> Backbone:
    """The backbone with what is left for a text when some positions are taken.

    Raises:
        InputError: nothing is left.
    """
    places = positions(backbone)
    left = backbone.max_length if places is None else min(backbone.max_length, places - taken)
    if left < LEAST_TOKENS:
        raise InputError(
            f"prefix.size is {taken}; {backbone.name!r} has {places} positions, which leaves {left} for a text. Lower "
            "it."
        )
    return replace(backbone, max_length=left)


def _tell_of_new_head(reader: Reader, config: FinetuningConfig, backbone: Backbone) -> None:
    if reader.head_is_new and not config.from_scratch:
        warnings.warn(
            f"{backbone.name!r} comes without a head for {config.objective}: a new one starts from random weights, so "
            "that what is measured before training tells nothing of the backbone.",
            stacklevel=3,
        )


def _check_direction(config: FinetuningConfig, backbone: Backbone) -> None:
    wanted, left = OBJECTIVES[config.objective].reads, reads_left_to_right(backbone)
    if wanted == "left" and not left:
        raise InputError(
            f"{config.objective} wants a GPT-like backbone, which reads left to right; {backbone.name!r} reads in "
            "both directions. Choose another one, or --from-scratch, or masked-lm."
        )
    if wanted == "both" and left:
        raise InputError(
            f"{config.objective} wants a BERT-like backbone, which reads in both directions; {backbone.name!r} reads "
            "left to right. Choose another one, or causal-lm."
        )
