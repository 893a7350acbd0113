"""Training of the user model: until it gets no better, or some passes more."""

from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.device import training_device
from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.progress import SILENT, Progress
from kuapin.sequence.checkpoint import checkpoint, fingerprint, keep, kept
from kuapin.sequence.item_representation import Vectors, Weights
from kuapin.sequence.run import Run
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.starting import Start
from kuapin.sequence.trained import Trained
from kuapin.sequence.validation import Validation, hold_out, nobody

ADAPTER = ("text", "ids", "category", "scale")
"""Weights that are tuned with ``tune = "adapter"``: how items are read. What reads histories stays, as in UniSRec (Hou
et al., KDD 2022)."""


def train(
    histories: Histories,
    text: Vectors | None,
    categories: NDArray[np.int32],
    config: SequenceConfig,
    *,
    validation: Validation | None = None,
    folder: Path | None = None,
    start: Start | None = None,
    member: int = 0,
    openings: NDArray[np.int32] | None = None,
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
        start: another shop's model, for these texts (``Start.on``); ``config.tune`` says what of it is trained.
        member: number of the model, where ``config.models`` are trained.
        openings: int32 (n_items,), code of every item's group of those whose openings are replayed; ``None``: that of
            its top-level category.
        progress: told of every pass.

    Raises:
        InputError: nobody has two interactions, the config reads texts and there are none, or nothing is to be tuned.
    """
    config, initial = config.member(member), None
    if start is not None:
        if config.tune == "none":
            raise InputError('With tune = "none" nothing is trained. Take Start.untuned, or tune something.')
        config = start.shaped(config)
        initial = start.initial(config, histories.n_items, member)
    adapted = start is not None and config.tune == "adapter"
    if config.text and text is None:
        raise InputError("The user model reads texts, and no text vectors came. Encode the items or set text = false.")
    if validation is None:
        histories, validation = hold_out(histories, config.validation_users, config.seed)
    if text is not None and not np.isfinite(text).all():
        row = int(np.flatnonzero(~np.isfinite(text).all(axis=1))[0])
        raise InputError(f"Text vectors are finite numbers; that of item row {row} is not. Encode the items again.")
    with _own_draws():
        run = Run(histories, text, categories, config, initial, ADAPTER if adapted else None, openings)
        state = _state(folder, histories, text, categories, config, validation, initial, openings)
        return replace(_trained(run, validation, state, progress), adapted=adapted)


def go_on(
    trained: Trained,
    histories: Histories,
    text: Vectors | None,
    categories: NDArray[np.int32],
    passes: int,
    *,
    folder: Path | None = None,
    openings: NDArray[np.int32] | None = None,
    progress: Progress = SILENT,
) -> Trained:
    """Learn some passes more, from a log that holds more of the same items; nothing is held out.

    Args:
        trained: where it begins.
        histories: all that it may learn from; rows of items as in the first training.
        text: as in the first training.
        categories: likewise.
        passes: over the log.
        folder: as in ``train``.
        openings: likewise.
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
    with _own_draws():
        tuned = ADAPTER if trained.adapted else None
        read, initial, asked = text if config.text else None, trained.weights, nobody(histories)
        run = Run(histories, read, categories, config, initial, tuned, openings)
        state = _state(folder, histories, read, categories, config, asked, initial, openings)
        done = _trained(run, asked, state, progress)
    seconds = trained.seconds + done.seconds
    return replace(trained, weights=done.weights, interactions=done.interactions, seconds=seconds)


def worth_training(histories: Histories, config: SequenceConfig) -> bool:
    """Whether a log teaches a user model: enough people who came back for something else, and torch is installed."""
    if int((histories.lengths >= 3).sum()) < config.least_users or find_spec("torch") is None:
        return False
    return bool(1 - histories.matrix().nnz / len(histories.items) <= config.most_repeated)


def _own_draws() -> AbstractContextManager[None]:
    """The caller's own draws go on behind it as if nothing had been trained."""
    torch, device = require("torch", "train"), training_device()
    forked: AbstractContextManager[None] = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    return forked


def _state(
    folder: Path | None,
    histories: Histories,
    text: Vectors | None,
    categories: NDArray[np.int32],
    config: SequenceConfig,
    validation: Validation,
    initial: Weights | None,
    openings: NDArray[np.int32] | None,
) -> Path | None:
    """The file of a training's state; ``None``: it keeps none."""
    if folder is None:
        return None
    read = text if config.text else None
    return checkpoint(folder, fingerprint(histories, read, categories, config, validation, initial, openings))


def _trained(run: Run, validation: Validation, path: Path | None, progress: Progress) -> Trained:
    config = run.config
    if len(run.batches.long_enough) == 0:
        raise InputError(
            "The user model learns from users with two interactions or more; there is none. Import more log."
        )
    state = None if path is None else kept(path)
    if state is not None:
        run.take(state)
    with progress.step("Training the user model", config.epochs, "passes") as step:
        step.advance(len(run.ndcg))
        while not run.finished():
            run.learn()
            run.judge(validation)
            if path is not None:
                keep(path, run.state())
            step.advance()
    weights = {name: value.cpu().numpy() for name, value in run.best.items()}
    return Trained(config, weights, run.interactions, tuple(run.ndcg), run.seconds)
