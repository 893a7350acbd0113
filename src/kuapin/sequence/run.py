"""A training under way: the weights, a step, a pass, and how good they are."""

import time
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.device import training_device
from kuapin.errors import KuapinError
from kuapin.extras import require
from kuapin.sequence.batches import Batch, Batches, gap_kinds, latest, padded
from kuapin.sequence.item_representation import Vectors, Weights, warmth
from kuapin.sequence.loss import full_softmax, sampled_softmax
from kuapin.sequence.model import hidden, initial_weights
from kuapin.sequence.row_adam import BETAS, RowAdam
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.validation import Validation

USERS_AT_ONCE = 256
SCORES_AT_ONCE = 2**26
"""Floats of one table of users by items, at most."""
ITEMS_AT_ONCE = 2**16
GRADIENT_NORM = 5.0
OWN = "ids"
"""The weights that are items' own vectors."""


class Run:
    """The state of a training, which lies on ``training_device``.

    Args:
        histories: all that it may learn from.
        text: as of ``training.train``.
        categories: likewise.
        config: likewise.
        start: weights to begin with, by name; all others are random.
        tuned: names of the weights that are trained, own vectors aside, which always are; ``None``: all.
        openings: as of ``training.train``.
    """

    def __init__(
        self,
        histories: Histories,
        text: Vectors | None,
        categories: NDArray[np.int32],
        config: SequenceConfig,
        start: Weights | None = None,
        tuned: Collection[str] | None = None,
        openings: NDArray[np.int32] | None = None,
    ) -> None:
        torch = self.torch = require("torch", "train")
        self.config, self.device = config, training_device()
        openings = categories if openings is None else openings
        self.categories, self.openings = (self._there(one.astype(np.int64)) for one in (categories, openings))
        self.interactions = np.bincount(histories.items, minlength=histories.n_items).astype(np.int64)
        self.batches = Batches(histories, openings, config.max_history, config.batch_size, config.masked_share)
        self.text = self._there(np.ascontiguousarray(text, np.float32)) if config.text else None
        n_categories = int(categories.max(initial=0)) + 1
        size = 0 if text is None else text.shape[1]
        initial = initial_weights(config, histories.n_items, size, n_categories) | (start or {})
        self.weights = {name: self._there(np.array(value)) for name, value in initial.items()}
        self.moved = [
            value.requires_grad_() for name, value in self.weights.items() if name in (tuned or initial) and name != OWN
        ]
        self.optimiser = torch.optim.AdamW(
            self.moved, lr=config.learning_rate, weight_decay=config.weight_decay, betas=BETAS
        )
        # Of a great catalogue a step touches few own vectors
        self.own = RowAdam(self.weights[OWN], config.learning_rate, config.weight_decay)
        self.warmth = self._there(warmth(self.interactions, config.fade))[:, None]
        drawn = np.maximum(self.interactions, 1) ** config.negative_power
        self.log_expected = self._there(np.log(config.negatives * drawn / drawn.sum()).astype(np.float32))
        self.cumulative = self._there(np.cumsum(drawn / drawn.sum()))
        self.whole = histories.n_items <= config.full_softmax
        self.ndcg: list[float] = []
        self.best: dict[str, Any] = {}
        self.seconds = 0.0

    def _there(self, array: NDArray[Any]) -> Any:
        """An array as a tensor where the training lies; on the processor they share their memory."""
        return self.torch.from_numpy(array).to(self.device)

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
            self.step(batch)
        self.seconds += time.perf_counter() - started

    def step(self, batch: Batch) -> None:
        """One step of the optimiser."""
        loss, rows, own = self.loss(batch)
        if not self.torch.isfinite(loss):
            raise KuapinError(
                f"Training the user model failed: the loss of pass {len(self.ndcg) + 1} is {loss.item()}. "
                "Lower the learning rate."
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        read = [] if own is None else [own]
        self.torch.nn.utils.clip_grad_norm_([*self.moved, *read], GRADIENT_NORM)
        self.optimiser.step()
        if own is not None:
            self.own.step(rows, own.grad)

    def loss(self, batch: Batch) -> tuple[Any, Any, Any]:
        """The loss, the item rows (k,) that were read, and their own vectors (k, d); ``None`` without such."""
        torch, n = self.torch, len(self.interactions)
        read, answers = self._there(batch.items), self._there(batch.answers)
        drawn = torch.arange(n, device=self.device) if self.whole else self._draw()
        rows, place = torch.unique(torch.cat((read.ravel(), answers, drawn)), return_inverse=True)
        own = self.own.read(rows) if self.config.ids else None
        vectors = self.item_vectors(rows, self.config.id_dropout, own)
        ends = read.numel(), read.numel() + len(answers)
        found = self.hidden(vectors[place[: ends[0]]].view(*read.shape, -1), batch, self.config.dropout)
        users = found[self._there(batch.rows), self._there(batch.places)] * self.weights["scale"].exp()
        excluded = torch.zeros(len(answers), len(drawn), dtype=torch.bool, device=self.device)
        if batch.opening:  # an opening is ranked within itself
            excluded = self.openings[answers][:, None] != self.openings[drawn]
        if self.whole:
            return full_softmax(users, vectors[place[ends[1] :]], answers, excluded), rows, own
        right, wrong = vectors[place[ends[0] : ends[1]]], vectors[place[ends[1] :]]
        excluded = excluded | (answers[:, None] == drawn)
        return sampled_softmax(users, right, wrong, self.log_expected[drawn], excluded), rows, own

    def _draw(self) -> Any:
        chance = self.torch.rand(self.config.negatives, dtype=self.torch.float64, device=self.device)
        return self.torch.searchsorted(self.cumulative, chance).clamp(max=len(self.interactions) - 1)

    def item_vectors(self, rows: Any, id_dropout: float = 0.0, own: Any = None) -> Any:
        """As ``item_representation.item_vectors``, of some rows, for torch; ids are dropped at random.

        Args:
            rows: (k,).
            id_dropout: share of them that are read without a vector of their own.
            own: float32 (k, d), their own vectors; ``None``: as they lie.
        """
        torch, total = self.torch, 0
        if self.text is not None:
            total = self.text[rows] @ self.weights["text"]
        if self.config.ids:
            known = self.warmth[rows]
            if id_dropout and self.text is not None:
                known = known * (torch.rand(len(rows), 1, device=self.device) >= id_dropout)
            total = total + known * (self.weights[OWN][rows] if own is None else own)
        return torch.nn.functional.normalize(total, dim=-1, eps=1e-9)

    def hidden(self, vectors: Any, batch: Batch, dropout: float = 0.0) -> Any:
        """See ``model.hidden``."""
        events, gaps = self._there(batch.events), self._there(batch.gaps)
        categories = self.categories[self._there(batch.items)]
        return hidden(self.weights, self.config, vectors, events, gaps, categories, dropout)

    def judge(self, validation: Validation) -> None:
        """Measure NDCG@10 and keep the weights where it is the best so far."""
        with self.torch.no_grad():
            self.own.settle()
            self.ndcg.append(self._ndcg(validation) if len(validation.answers) else float("nan"))
        if self._best() == len(self.ndcg) - 1:
            self.best = {name: value.detach().clone() for name, value in self.weights.items()}

    def _all_items(self) -> Any:
        every = self.torch.arange(len(self.interactions), device=self.device).split(ITEMS_AT_ONCE)
        return self.torch.cat([self.item_vectors(rows) for rows in every])

    def _ndcg(self, validation: Validation) -> float:
        queries = validation.queries
        items = self._all_items()
        spans, gaps, met = latest(queries, self.config.max_history), gap_kinds(queries), queries.matrix()
        gain = 0.0
        by_length = np.argsort(queries.lengths, kind="stable")
        at_once = max(1, min(USERS_AT_ONCE, SCORES_AT_ONCE // len(items)))
        for users in np.split(by_length, range(at_once, len(by_length), at_once)):
            batch = padded(queries, gaps, spans[users])
            every, last = np.arange(len(users)), np.diff(spans[users])[:, 0] - 1
            found = self.hidden(items[self._there(batch.items)], batch)[self._there(every), self._there(last)]
            scores = (found @ items.T).cpu().numpy()
            answers = validation.answers[users]
            right = scores[np.arange(len(users)), answers]
            known = met[users]
            scores[np.repeat(np.arange(len(users)), np.diff(known.indptr)), known.indices] = -np.inf
            if validation.items is not None:
                scores = scores[:, validation.items]
            rank = (scores >= right[:, None]).sum(axis=1) - 1  # ties count against the answer, itself aside
            gain += float(np.where(rank < 10, 1 / np.log2(rank + 2.0), 0.0).sum())
        return gain / len(validation.answers)

    def state(self) -> dict[str, Any]:
        """All that a training goes on from, for ``checkpoint``."""
        optimisers = {"optimiser": self.optimiser.state_dict(), "own": self.own.state()}
        return {"weights": self.weights, "best": self.best, "ndcg": self.ndcg, "seconds": self.seconds, **optimisers}

    def take(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        with self.torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(state["weights"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.own.take(state["own"])
        self.best = {name: value.to(self.device) for name, value in state["best"].items()}
        self.ndcg, self.seconds = list(state["ndcg"]), float(state["seconds"])
