"""Training of the user model: until it gets no better, or some passes more."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.progress import SILENT, Progress
from kuapin.sequence.checkpoint import fingerprint, keep, kept
from kuapin.sequence.item_representation import Vectors, Weights
from kuapin.sequence.run import Run
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.validation import Validation, hold_out, nobody


@dataclass(frozen=True)
class Trained:
    """A trained user model.

    Attributes:
        config: how.
        weights: see ``model.initial_weights``; those of the best pass.
        interactions: int64 (n_items,), of every item in training; row of the item = row of its own vector.
        ndcg: NDCG@10 on the validation after every pass; NaN where nobody could be asked.
        seconds: of training.
    """

    config: SequenceConfig
    weights: Weights
    interactions: NDArray[np.int64]
    ndcg: tuple[float, ...]
    seconds: float


def train(
    histories: Histories,
    text: Vectors | None,
    categories: NDArray[np.int32],
    config: SequenceConfig,
    *,
    validation: Validation | None = None,
    folder: Path | None = None,
    progress: Progress = SILENT,
) -> Trained:
    """Train a user model on a log.

    Args:
        histories: all that it may learn from.
        text: float32 (n_items, d), whitened text vectors of unit length; ``None``: ids alone.
        categories: int32 (n_items,), code of every item's top-level category.
        config: how.
        validation: what decides when to stop; ``None``: the last interactions of some users, which are then not
            learnt from.
        folder: where the state is kept after every pass, and taken up again; ``None``: nowhere.
        progress: told of every pass.

    Raises:
        InputError: nobody has two interactions, or the config reads texts and there are none.
    """
    if config.text and text is None:
        raise InputError("The user model reads texts, and no text vectors came. Encode the items or set text = false.")
    if validation is None:
        histories, validation = hold_out(histories, config.validation_users, config.seed)
    if text is not None and not np.isfinite(text).all():
        row = int(np.flatnonzero(~np.isfinite(text).all(axis=1))[0])
        raise InputError(f"Text vectors are finite numbers; that of item row {row} is not. Encode the items again.")
    torch = require("torch", "train")
    with torch.random.fork_rng(devices=[]):  # the caller's own draws go on as if nothing had been trained
        run = Run(histories, text, categories, config)
        of = (
            ""
            if folder is None
            else fingerprint(histories, text if config.text else None, categories, config, validation)
        )
        return _trained(run, validation, folder, of, progress)


def go_on(
    trained: Trained,
    histories: Histories,
    text: Vectors | None,
    categories: NDArray[np.int32],
    passes: int,
    *,
    progress: Progress = SILENT,
) -> Trained:
    """Learn some passes more, from a log that holds more of the same items; nothing is held out.

    Args:
        trained: where it begins.
        histories: all that it may learn from; rows of items as in the first training.
        text: as in the first training.
        categories: likewise.
        passes: over the log.
        progress: told of every pass.

    Raises:
        InputError: the items are others.
    """
    if histories.n_items != len(trained.interactions):
        raise InputError(
            f"A user model goes on with the items of its training, {len(trained.interactions)}; "
            f"{histories.n_items} came. Train a new one."
        )
    config = trained.config.model_copy(update={"epochs": passes})
    torch = require("torch", "train")
    with torch.random.fork_rng(devices=[]):
        run = Run(histories, text if config.text else None, categories, config, trained.weights)
        done = _trained(run, nobody(histories), None, "", progress)
    return Trained(trained.config, done.weights, done.interactions, trained.ndcg, trained.seconds + done.seconds)


def _trained(run: Run, validation: Validation, folder: Path | None, of: str, progress: Progress) -> Trained:
    config = run.config
    if len(run.batches.long_enough) == 0:
        raise InputError(
            "The user model learns from users with two interactions or more; there is none. Import more log."
        )
    if folder is not None:
        state = kept(folder, of)
        if state is not None:
            run.take(state)
    with progress.step("Training the user model", config.epochs, "passes") as step:
        step.advance(len(run.ndcg))
        while not run.finished():
            run.learn()
            run.judge(validation)
            if folder is not None:
                keep(folder, run.state(), of)
            step.advance()
    weights = {name: value.numpy() for name, value in run.best.items()}
    return Trained(config, weights, run.interactions, tuple(run.ndcg), run.seconds)
