"""All objectives, by name."""

import warnings

from kuapin.errors import InputError
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import LEAST_GROUPS, Objective
from kuapin.finetuning.objectives.causal_lm import CausalLM
from kuapin.finetuning.objectives.co_interaction import CoInteraction
from kuapin.finetuning.objectives.generation import Generation
from kuapin.finetuning.objectives.item_classification import ItemClassification
from kuapin.finetuning.objectives.masked_lm import MaskedLM
from kuapin.finetuning.objectives.next_item import NextItem
from kuapin.finetuning.objectives.regression import Regression
from kuapin.finetuning.objectives.simcse import SimCSE
from kuapin.finetuning.objectives.token_classification import TokenClassification
from kuapin.finetuning.objectives.tsdae import TSDAE
from kuapin.finetuning.settings import FinetuningConfig

OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind
    for kind in (
        MaskedLM,
        CausalLM,
        SimCSE,
        TSDAE,
        ItemClassification,
        TokenClassification,
        Regression,
        Generation,
        CoInteraction,
        NextItem,
    )
}
"""Name → class; its config is the section of that name in :class:`FinetuningConfig`."""


def leaves_encoder(config: FinetuningConfig) -> bool:
    """Whether nothing of the encoder trains: the backbone is frozen, and the head stands beside its vectors."""
    return config.strategy == "head-only" and not OBJECTIVES[config.objective].tunes_vectors


def check_heeded(config: FinetuningConfig) -> None:
    """Raise ``InputError`` where the loop has settings that the objective would do nothing with."""
    kind, loop = OBJECTIVES[config.objective], config.training
    asked = {"label_smoothing": loop.label_smoothing, "r_drop": loop.r_drop, "augmentation": loop.augmentation.on}
    for name, value in asked.items():
        if value and name not in kind.heeds:
            able = ", ".join(other.name for other in OBJECTIVES.values() if name in other.heeds)
            raise InputError(
                f"training.{name} is set and the objective is {kind.name}, which does nothing with it. Leave it out, "
                f"or choose an objective that does: {able}."
            )
    idle = "strategy is head-only" if config.strategy == "head-only" else "training.batch_size is 1"
    contrast = config.item_classification.contrast if kind is ItemClassification else 0.0
    if contrast and (config.strategy == "head-only" or loop.batch_size == 1):
        raise InputError(
            f"item_classification.contrast is {contrast:g} and {idle}: there are no vectors to draw together. Set it "
            "to 0, or choose another strategy and several titles a batch."
        )


def make_objective(config: FinetuningConfig, material: Material) -> Objective:
    """The objective that a configuration names, its examples drawn from the material.

    Warns where too little is held out for a half that chooses and a half that is reported.

    Raises:
        InputError: the material has no examples for it, or the loop has settings that it does nothing with.
    """
    check_heeded(config)
    section = getattr(config, config.objective.replace("-", "_"))
    objective = OBJECTIVES[config.objective](section, material)  # type: ignore[call-arg]
    objective.label_smoothing, objective.r_drop = config.training.label_smoothing, config.training.r_drop
    objective.augmentation = config.training.augmentation
    if not objective.parted:
        warnings.warn(
            f"{objective.name}: what is held out is of fewer than {LEAST_GROUPS} users or titles, so that the same "
            "examples choose the checkpoint and are reported, and the figure is too good. Import more, or raise "
            f"{config.objective.replace('-', '_')}.held_out.",
            stacklevel=1,  # here, whoever asks: one run tells it once
        )
    return objective
