"""Which settings suit a shop: Optuna's tree-structured Parzen estimator over any of them, resumable, with pruning.

Trials are compared by the objective's own metric on the half of what is held out that chooses checkpoints; the other
half, and users who are asked for lists, have no say. (Akiba et al. 2019; Bergstra et al. 2011)
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from kuapin.errors import InputError, KuapinError
from kuapin.extras import require
from kuapin.finetuning.objectives.registry import OBJECTIVES
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.progress import SILENT, Progress

Watch = Callable[[int, float], None]
"""Told of every measurement, step and metric; ends the training by an exception where it leads nowhere."""
Space = Mapping[str, tuple[Any, ...]]
"""Setting, dotted → (lowest, highest) of two numbers, or the choices."""
JOURNAL = "trials.journal"
LEAST_BEFORE_PRUNING = 4
"""Trials that end undisturbed, so that there is a median."""
_REASON = "reason"
"""Kept with a trial whose settings failed; one that was interrupted has none, and is no trial."""


@dataclass(frozen=True)
class Trial:
    """One set of settings.

    Attributes:
        settings: dotted name → value.
        value: of the objective's metric; ``None`` where it was given up early or failed.
        state: ``complete``, ``pruned`` or ``fail``.
    """

    settings: dict[str, Any]
    value: float | None
    state: str


def default_space(config: FinetuningConfig) -> Space:
    """Learning rate, warm-up and weight decay: 1e-5 to 2e-5 for full tuning, ten times that where little is added."""
    small = config.strategy in ("full", "top-layers")
    rates = (1e-5, 2e-5) if small else (1e-4, 5e-4)
    return {"training.learning_rate": rates, "training.warmup": (0.0, 0.2), "training.weight_decay": (0.0, 0.1)}


def searched(
    config: FinetuningConfig,
    space: Space,
    trials: int,
    folder: Path,
    run: Callable[[FinetuningConfig, Watch], float],
    progress: Progress = SILENT,
) -> tuple[FinetuningConfig, list[Trial]]:
    """Try settings until there are so many trials; an interrupted search goes on to what it would have found.

    A trial that was interrupted is drawn again. One that fails by its settings is told of in a warning, and counts.

    Args:
        config: all other settings.
        space: what is tried.
        trials: in all.
        folder: keeps the journal; the same folder goes on.
        run: trains with some settings, telling ``Watch``, and gives the metric of the best checkpoint.
        progress: told of every trial.

    Returns:
        The best settings, and every trial.

    Raises:
        InputError: a setting of the space does not exist or has a value that is not allowed, or no trial came to its
            end.
    """
    optuna = require("optuna", "tune")
    journal = require("optuna.storages.journal", "tune")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    objective = OBJECTIVES[config.objective]
    for name, choices in space.items():
        for value in choices:
            changed(config, {name: value})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            study_name="search",
            storage=optuna.storages.JournalStorage(journal.JournalFileBackend(str(folder / JOURNAL))),
            direction="maximize" if objective.greater_is_better else "minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=LEAST_BEFORE_PRUNING),
            load_if_exists=True,
        )

    def tried(trial: Any) -> float:
        def watch(step: int, value: float) -> None:
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        number = len(_finished(study)) + 1
        try:
            chosen = changed(config, {name: _drawn(trial, name, choices) for name, choices in space.items()})
            with progress.step(f"Trial {number} of {trials}") as step:
                value = run(chosen, watch)
                step.note(f"{objective.metric} {value:.4g}")
                return value
        except KuapinError as error:
            if type(error) not in (KuapinError, InputError):  # a missing package, a busy shop: not by the settings
                raise
            trial.set_user_attr(_REASON, str(error))
            warnings.warn(f"Trial {number} failed. {error}", stacklevel=2)
            return math.nan  # fails for Optuna

    while (done := len(_finished(study))) < trials:
        # Seeded for every trial, so that a search draws the same wherever it was interrupted
        seed = int(np.random.default_rng([config.seed, done]).integers(2**32))
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        study.optimize(tried, n_trials=1)
    found = [
        Trial(dict(trial.params), trial.value if trial.state.name == "COMPLETE" else None, trial.state.name.lower())
        for trial in _finished(study)
    ]
    if all(trial.value is None for trial in found):
        raise InputError("No trial of the search came to its end. Widen the space, or give it more steps.")
    return changed(config, dict(study.best_params)), found


def changed(config: FinetuningConfig, values: Mapping[str, Any]) -> FinetuningConfig:
    """The settings with some of them, dotted, set otherwise.

    Raises:
        InputError: there is no such setting, or the value breaks its rule.
    """
    tree = config.model_dump()
    for name, value in values.items():
        *sections, key = name.split(".")
        place: Any = tree
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not isinstance(place, dict) or key not in place:
            raise InputError(f"search: there is no setting {name!r}. See docs/finetune-settings.md.")
        place[key] = value
    try:
        return FinetuningConfig.model_validate(tree)
    except ValidationError as error:
        told = error.errors()[0]
        name = ".".join(str(step) for step in told["loc"])
        raise InputError(f"search: {name} = {told['input']!r}: {told['msg']}. Correct it.") from error


def _finished(study: Any) -> list[Any]:
    """The trials that came to their end, were given up, or failed by their settings, in their order."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    return [trial for trial in trials if trial.state.name != "FAIL" or _REASON in trial.user_attrs]


def _drawn(trial: Any, name: str, choices: tuple[Any, ...]) -> Any:
    """A number between two, by its logarithm where they are positive; or one of the choices."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in choices)
    if len(choices) != 2 or not numbers:
        return trial.suggest_categorical(name, list(choices))
    low, high = sorted(choices)
    if all(isinstance(one, int) for one in choices):
        return trial.suggest_int(name, low, high)
    return trial.suggest_float(name, float(low), float(high), log=low > 0)
