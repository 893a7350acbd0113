"""What fine-tuning changed, as a small folder: the trained parameters and what they belong to, nothing else."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kuapin.encoding.backbone import Backbone, Pooling
from kuapin.encoding.export import quietly
from kuapin.errors import InputError, ModelFolderError
from kuapin.extras import require
from kuapin.finetuning.objective import Facts, Objective
from kuapin.finetuning.objectives.registry import OBJECTIVES
from kuapin.finetuning.reader import Reader, open_reader
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import make_strategy
from kuapin.finetuning.strategy import Strategy, unfreeze
from kuapin.finetuning.trained import from_bytes, to_bytes
from kuapin.finetuning.whitening import add_projection

DESCRIPTION = "change.json"
WEIGHTS = "change.safetensors"


class Change(BaseModel):
    """``change.json``: what was trained, on which backbone, by which settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(1, description="Version of this file.")
    backbone: str = Field(
        description="Name that the backbone was asked for by; of a folder beside the new one's, its own name."
    )
    pooling: Pooling | None = Field(None, description="How it was read; not said: as its folder says.")
    weights_hash: str = Field(description="SHA-256 of its weights, pooling and prefix.")
    weights_sha256: str = Field(description="SHA-256 of change.safetensors.")
    settings: FinetuningConfig = Field(description="All settings of the run.")
    facts: dict[str, Any] = Field(description="What the head is made of, such as its labels.")
    total_steps: int = Field(ge=0, description="Steps that the run was planned for.")


def repooled(backbone: Backbone, config: FinetuningConfig) -> Backbone:
    """The backbone with the pooling that the settings ask for.

    Raises:
        InputError: projections stand behind its own pooling.
    """
    if config.pooling in (None, backbone.pooling):
        return backbone
    if backbone.dense:
        raise InputError(
            f"pooling is {config.pooling}; {backbone.name!r} has projections that were made for {backbone.pooling}. "
            "Start from a backbone without projections, or drop the setting."
        )
    return replace(backbone, pooling=config.pooling)


def whitens(config: FinetuningConfig, objective: type[Objective]) -> bool:
    """Whether a whitening projection belongs to the encoder."""
    return config.whitening.on and objective.tunes_vectors


def assembled(
    backbone: Backbone,
    objective: type[Objective],
    facts: Facts,
    strategy: Strategy,
    config: FinetuningConfig,
    steps: int,
) -> Reader:
    """The model that a run trains: backbone, head, and what the strategy adds; drawn by the settings' seed.

    Raises:
        InputError: another pooling is asked for, and projections stand behind the backbone's own.
    """
    backbone = repooled(backbone, config)
    require("transformers", "train").set_seed(config.seed)
    with quietly():
        reader = open_reader(backbone, objective.model_class, config.training.dropout)
        whitened = whitens(config, objective)
        if whitened:
            add_projection(reader)
        place = len(reader.projections) - 1
        reader.head = objective.new_head(reader, facts)
        strategy.apply(reader, objective, steps)
        if whitened:
            unfreeze(reader.projections[place])
    return reader


def save_change(
    folder: Path,
    reader: Reader,
    objective: Objective,
    strategy: Strategy,
    backbone: Backbone,
    config: FinetuningConfig,
    steps: int,
) -> None:
    """Write the trained parameters and their description into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = to_bytes(reader, strategy)
    (folder / WEIGHTS).write_bytes(content)
    beside = backbone.folder.parent == folder.parent.parent.resolve()  # a shop may be moved
    change = Change(
        backbone=backbone.folder.name if beside else backbone.name,
        pooling=backbone.pooling,
        weights_hash=backbone.weights_hash,
        weights_sha256=hashlib.sha256(content).hexdigest(),
        settings=config,
        facts=objective.facts,
        total_steps=steps,
    )
    (folder / DESCRIPTION).write_text(change.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_change(folder: Path) -> Change:
    """What a change says of itself.

    Raises:
        ModelFolderError: there is none, or it is torn or altered.
    """
    path = folder / DESCRIPTION
    try:
        return Change.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ModelFolderError(f"{folder} has no {DESCRIPTION}, so it holds no fine-tuned change.") from error
    except (ValidationError, ValueError) as error:
        raise ModelFolderError(
            f"{path} is damaged, or of another version of Kuapin. Train again, or restore it."
        ) from error


def start_of(folder: Path) -> Backbone:
    """The backbone that a change was trained on, read as it was then.

    Raises:
        ModelFolderError: the folder is torn or altered.
        InputError: the backbone is not there any more.
    """
    change = read_change(folder)
    beside = folder.parent.parent / change.backbone
    return Backbone.resolve(str(beside) if beside.is_dir() else change.backbone, change.pooling)


def load_change(folder: Path, backbone: Backbone) -> tuple[Reader, Strategy, Change]:
    """The trained model again: the backbone with the change put on it, dropout off.

    Raises:
        ModelFolderError: the folder is torn or altered.
        InputError: the change was made for another backbone.
    """
    change = read_change(folder)
    if change.weights_hash != backbone.weights_hash:
        raise InputError(
            f"{folder} was trained on the backbone {change.backbone!r}; {backbone.name!r} has other weights. "
            "Give the backbone that it was trained on, or train it again."
        )
    content = (folder / WEIGHTS).read_bytes() if (folder / WEIGHTS).is_file() else b""
    if hashlib.sha256(content).hexdigest() != change.weights_sha256:
        raise ModelFolderError(f"{folder / WEIGHTS} is cut short or altered. Train again, or restore it.")
    strategy = make_strategy(change.settings)
    objective = OBJECTIVES[change.settings.objective]
    reader = assembled(backbone, objective, change.facts, strategy, change.settings, change.total_steps)
    from_bytes(content, reader, strategy, str(folder / WEIGHTS))
    reader.eval()
    return reader, strategy, change
