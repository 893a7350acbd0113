"""Training of the user model: batches, loss, early stopping, and where it goes on after an interruption."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.errors import InputError, KuapinError
from kuapin.extras import require
from kuapin.progress import SILENT, Progress
from kuapin.sequence.batches import Batch, Batches, gap_kinds, latest, padded
from kuapin.sequence.item_representation import Vectors, Weights, warmth
from kuapin.sequence.loss import full_softmax, sampled_softmax
from kuapin.sequence.model import hidden, initial_weights
from kuapin.sequence.settings import SequenceConfig

CHECKPOINT = "checkpoint.pt"
USERS_AT_ONCE = 256
GRADIENT_NORM = 5.0


@dataclass(frozen=True)
class Validation:
    """What a model is judged by after every pass.

    Attributes:
        queries: histories.
        answers: int32 (n,), an item that came next, not met before.
        items: int32, ascending rows that are ranked, answers among them; ``None``: all.
    """

    queries: Histories
    answers: NDArray[np.int32]
    items: NDArray[np.int32] | None = None


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


def hold_out(histories: Histories, most: int, seed: int) -> tuple[Histories, Validation]:
    """Take the last interaction of some users out of a log: of those who have three and end with something new."""
    ends = histories.indptr[1:] - 1
    askable = np.flatnonzero(histories.lengths >= 3)
    asked = np.random.default_rng(seed).permutation(askable)
    new = [user for user in asked[: 4 * most] if histories.items[ends[user]] not in histories.of(user)[:-1]][:most]
    users = np.sort(np.array(new, np.int64))
    kept = np.ones(len(histories.items), np.bool_)
    kept[ends[users]] = False
    visible = histories.keep(kept)
    return visible, Validation(visible.select(users), histories.items[ends[users]])


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
        return _trained(_Run(histories, text, categories, config, validation), validation, folder, progress)


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
    nobody = Validation(histories.select(np.empty(0, np.int64)), np.empty(0, np.int32))
    torch = require("torch", "train")
    with torch.random.fork_rng(devices=[]):
        run = _Run(histories, text if config.text else None, categories, config, nobody)
        run.begin_with(trained.weights)
        done = _trained(run, nobody, None, progress)
    return Trained(trained.config, done.weights, done.interactions, trained.ndcg, trained.seconds + done.seconds)


def _trained(run: "_Run", validation: Validation, folder: Path | None, progress: Progress) -> Trained:
    config = run.config
    if len(run.batches.long_enough) == 0:
        raise InputError(
            "The user model learns from users with two interactions or more; there is none. Import more log."
        )
    if folder is not None:
        run.take_up(folder)
    with progress.step("Training the user model", config.epochs, "passes") as step:
        step.advance(len(run.ndcg))
        while not run.finished():
            run.learn()
            run.judge(validation)
            if folder is not None:
                run.keep(folder)
            step.advance()
    weights = {name: value.numpy() for name, value in run.best.items()}
    return Trained(config, weights, run.interactions, tuple(run.ndcg), run.seconds)


class _Run:
    """The state of a training."""

    def __init__(
        self,
        histories: Histories,
        text: Vectors | None,
        categories: NDArray[np.int32],
        config: SequenceConfig,
        validation: Validation,
    ) -> None:
        self.of = _fingerprint(histories, text if config.text else None, categories, config, validation)
        torch = self.torch = require("torch", "train")
        self.config, self.categories = config, torch.from_numpy(categories.astype(np.int64))
        self.interactions = np.bincount(histories.items, minlength=histories.n_items).astype(np.int64)
        self.batches = Batches(histories, categories, config.max_history, config.batch_size, config.masked_share)
        self.text = torch.from_numpy(np.ascontiguousarray(text, np.float32)) if config.text else None
        n_categories = int(categories.max(initial=0)) + 1
        size = 0 if text is None else text.shape[1]
        initial = initial_weights(config, histories.n_items, size, n_categories)
        self.weights = {name: torch.from_numpy(value).requires_grad_() for name, value in initial.items()}
        self.optimiser = torch.optim.AdamW(
            self.weights.values(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98)
        )
        self.warmth = torch.from_numpy(warmth(self.interactions, config.fade))[:, None]
        drawn = np.maximum(self.interactions, 1) ** config.negative_power
        self.log_expected = torch.from_numpy(np.log(config.negatives * drawn / drawn.sum()).astype(np.float32))
        self.cumulative = torch.from_numpy(np.cumsum(drawn / drawn.sum()))
        self.whole = histories.n_items <= config.full_softmax
        self.ndcg: list[float] = []
        self.best: dict[str, Any] = {}
        self.seconds = 0.0

    def begin_with(self, weights: Weights) -> None:
        """Take the weights of an earlier training."""
        with self.torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(self.torch.from_numpy(weights[name]))

    def finished(self) -> bool:
        """Whether the passes, the time or the patience are used up."""
        done, limit = len(self.ndcg), self.config.minutes
        if done == 0:
            return False
        late = limit is not None and self.seconds > 60 * limit
        return late or done >= self.config.epochs or done - 1 - self._best() >= self.config.patience

    def _best(self) -> int:
        """Number of the best pass; the last where nobody could be asked."""
        return len(self.ndcg) - 1 if np.isnan(self.ndcg).all() else int(np.nanargmax(self.ndcg))

    def learn(self) -> None:
        """One pass over the log. What is drawn depends on the seed and the number of the pass alone."""
        started, done = time.perf_counter(), len(self.ndcg)
        rng = np.random.default_rng((self.config.seed, done))
        self.torch.manual_seed(self.config.seed * 100_003 + done)
        for batch in self.batches.epoch(rng):
            loss = self._loss(batch)
            if not self.torch.isfinite(loss):
                raise KuapinError(
                    f"Training the user model failed: the loss of pass {done + 1} is {loss.item()}. "
                    "Lower the learning rate."
                )
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.torch.nn.utils.clip_grad_norm_(self.weights.values(), GRADIENT_NORM)
            self.optimiser.step()
        self.seconds += time.perf_counter() - started

    def _loss(self, batch: Batch) -> Any:
        torch, n = self.torch, len(self.interactions)
        read, answers = torch.from_numpy(batch.items), torch.from_numpy(batch.answers)
        drawn = torch.arange(n) if self.whole else self._draw()
        rows, place = torch.unique(torch.cat((read.ravel(), answers, drawn)), return_inverse=True)
        vectors = self.item_vectors(rows, self.config.id_dropout)
        ends = read.numel(), read.numel() + len(answers)
        found = self.hidden(vectors[place[: ends[0]]].view(*read.shape, -1), batch, self.config.dropout)
        users = found[torch.from_numpy(batch.rows), torch.from_numpy(batch.places)] * self.weights["scale"].exp()
        excluded = torch.zeros(len(answers), len(drawn), dtype=torch.bool)
        if batch.opening:  # an opening is ranked within itself
            excluded = self.categories[answers][:, None] != self.categories[drawn]
        if self.whole:
            return full_softmax(users, vectors[place[ends[1] :]], answers, excluded)
        right, wrong = vectors[place[ends[0] : ends[1]]], vectors[place[ends[1] :]]
        excluded = excluded | (answers[:, None] == drawn)
        return sampled_softmax(users, right, wrong, self.log_expected[drawn], excluded)

    def _draw(self) -> Any:
        chance = self.torch.rand(self.config.negatives, dtype=self.torch.float64)
        return self.torch.searchsorted(self.cumulative, chance).clamp(max=len(self.interactions) - 1)

    def item_vectors(self, rows: Any, id_dropout: float = 0.0) -> Any:
        """As ``item_representation.item_vectors``, of some rows, for torch; ids are dropped at random."""
        torch, total = self.torch, 0
        if self.text is not None:
            total = self.text[rows] @ self.weights["text"]
        if self.config.ids:
            known = self.warmth[rows]
            if id_dropout and self.text is not None:
                known = known * (torch.rand(len(rows), 1) >= id_dropout)
            total = total + known * self.weights["ids"][rows]
        return torch.nn.functional.normalize(total, dim=-1, eps=1e-9)

    def hidden(self, vectors: Any, batch: Batch, dropout: float = 0.0) -> Any:
        """See ``model.hidden``."""
        torch = self.torch
        events, gaps = torch.from_numpy(batch.events), torch.from_numpy(batch.gaps)
        categories = self.categories[torch.from_numpy(batch.items)]
        return hidden(self.weights, self.config, vectors, events, gaps, categories, dropout)

    def judge(self, validation: Validation) -> None:
        """Measure NDCG@10 and keep the weights where it is the best so far."""
        with self.torch.no_grad():
            self.ndcg.append(self._ndcg(validation) if len(validation.answers) else float("nan"))
        if self._best() == len(self.ndcg) - 1:
            self.best = {name: value.detach().clone() for name, value in self.weights.items()}

    def _ndcg(self, validation: Validation) -> float:
        torch, queries = self.torch, validation.queries
        items = self.item_vectors(torch.arange(len(self.interactions)))
        spans, gaps, met = latest(queries, self.config.max_history), gap_kinds(queries), queries.matrix()
        gain = 0.0
        by_length = np.argsort(queries.lengths, kind="stable")
        for users in np.split(by_length, range(USERS_AT_ONCE, len(by_length), USERS_AT_ONCE)):
            batch = padded(queries, gaps, spans[users])
            last = torch.from_numpy(np.diff(spans[users])[:, 0] - 1)
            found = self.hidden(items[torch.from_numpy(batch.items)], batch)[torch.arange(len(users)), last]
            scores = (found @ items.T).numpy()
            answers = validation.answers[users]
            right = scores[np.arange(len(users)), answers]
            known = met[users]
            scores[np.repeat(np.arange(len(users)), np.diff(known.indptr)), known.indices] = -np.inf
            if validation.items is not None:
                scores = scores[:, validation.items]
            rank = (scores >= right[:, None]).sum(axis=1) - 1  # ties count against the answer, itself aside
            gain += float(np.where(rank < 10, 1 / np.log2(rank + 2.0), 0.0).sum())
        return gain / len(validation.answers)

    def keep(self, folder: Path) -> None:
        """Write the state, so that an interrupted training goes on to the same result."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {"weights": self.weights, "best": self.best, "optimiser": self.optimiser.state_dict()}
        state |= {"ndcg": self.ndcg, "seconds": self.seconds, "of": self.of}
        draft = folder / f"{CHECKPOINT}.part"
        self.torch.save(state, draft)
        draft.replace(folder / CHECKPOINT)

    def take_up(self, folder: Path) -> Self:
        """Read what ``keep`` wrote of the same log and config; nothing where there is none, or it is of others."""
        path = folder / CHECKPOINT
        if not path.exists():
            return self
        try:
            state = self.torch.load(path, weights_only=True)
        except Exception:  # torn by a crash; torch's errors share no narrower base
            return self
        if state.get("of") == self.of:
            with self.torch.no_grad():
                for name, value in self.weights.items():
                    value.copy_(state["weights"][name])
            self.optimiser.load_state_dict(state["optimiser"])
            self.best, self.ndcg, self.seconds = state["best"], list(state["ndcg"]), float(state["seconds"])
        return self


def _fingerprint(
    histories: Histories,
    text: Vectors | None,
    categories: NDArray[np.int32],
    config: SequenceConfig,
    validation: Validation,
) -> str:
    """Hash of all that the result depends on."""
    queries = validation.queries
    arrays: list[NDArray[np.generic] | None] = [
        histories.indptr,
        histories.items,
        histories.times,
        histories.events,
        categories,
        text,
    ]
    arrays += [queries.indptr, queries.items, queries.times, validation.answers, validation.items]
    digest = hashlib.sha256(config.model_dump_json().encode())
    for array in arrays:
        digest.update(b"none" if array is None else f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
