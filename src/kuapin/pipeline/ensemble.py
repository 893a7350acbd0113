"""Several classifiers that differ by their seed alone: what they say is averaged (Lakshminarayanan et al. 2017).

The first has the run's own folder, the others lie beside it as ``NAME-2``, ``NAME-3``, …; arXiv:1612.01474.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kuapin.encoding.backbone import CHANGE, Backbone
from kuapin.errors import InputError
from kuapin.finetuning.change import load_change, start_of
from kuapin.finetuning.labelling import Matrix, classified
from kuapin.finetuning.material import Material
from kuapin.finetuning.objectives.item_classification import ItemClassification
from kuapin.finetuning.objectives.registry import make_objective
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.tokens import Tokens

CLASSIFIER = "item-classification"
_NUMBERED = re.compile(r"^(.+)-([2-9]|[1-9]\d)$")


def check_ensemble(config: FinetuningConfig) -> None:
    """Raise ``InputError`` where several models are asked for whose outputs cannot be averaged."""
    if config.ensemble > 1 and config.objective != CLASSIFIER:
        raise InputError(
            f"ensemble is {config.ensemble} and the objective is {config.objective}; what several models say is "
            f"averaged for {CLASSIFIER} alone. Leave it out, or average weights with training.soup."
        )


def member_folder(first: Path, number: int) -> Path:
    """Where the ``number``-th classifier lies, from 2 on."""
    return first.with_name(f"{first.name}-{number}")


def members(first: Path) -> list[Path]:
    """The folders of all classifiers of a run, the run's own first."""
    found = [path for path in first.parent.glob(f"{first.name}-*") if path == member_folder(first, _number(path))]
    return [first, *sorted((path for path in found if (path / CHANGE).is_dir()), key=_number)]


def is_member(folder: Path) -> bool:
    """Whether a folder belongs to a run whose own folder is another."""
    found = _NUMBERED.match(folder.name)
    return found is not None and (folder.with_name(found[1]) / CHANGE).is_dir()


def said_together(first: Path, titles: Sequence[str]) -> tuple[Matrix, Matrix]:
    """What the classifiers of a run say of titles, on average.

    Args:
        first: the run's own folder.
        titles: n of them.

    Returns:
        Probabilities float32 (n, labels); unit vectors float32 (n, d) of the first.
    """
    chances, vectors = [], []
    for folder in members(first):
        reader, _, change = load_change(folder / CHANGE, start_of(folder / CHANGE))
        tokens = Tokens(Backbone.resolve(str(folder)), change.settings.max_length)
        one, seen = classified(reader, change, tokens, titles)
        chances.append(one)
        vectors.append(seen)
    return np.mean(chances, axis=0, dtype=np.float32), vectors[0]


def measured_together(first: Path, material: Material, config: FinetuningConfig) -> dict[str, float]:
    """Macro-F1 and accuracy of the average, on the held-out half that is reported."""
    objective = make_objective(config, material).halves()[1]
    if not isinstance(objective, ItemClassification):
        raise InputError(f"ensemble is for {CLASSIFIER} alone.")
    chances, _ = said_together(first, objective.held_out_groups())
    return objective.judged(chances)


def _number(folder: Path) -> int:
    found = _NUMBERED.match(folder.name)
    return int(found[2]) if found else 1
