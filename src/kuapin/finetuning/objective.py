"""What an objective is: the examples it makes, the head it adds, its loss, its own metrics."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.extras import require
from kuapin.finetuning.augmentation import AugmentationConfig
from kuapin.finetuning.reader import Module, Reader, Tensor
from kuapin.finetuning.tokens import Batch, Tokens

Facts = dict[str, Any]
"""What a head is made of, as JSON: the labels of a classifier, for example."""


LEAST_GROUPS = 8
"""Fewer users or texts than that are not parted in two."""


@dataclass(frozen=True)
class Counted:
    """What a metric that is no mean over examples is made of, for paired intervals.

    Attributes:
        rows: float64 (n, m), what is counted of each example; may be sparse.
        of_means: from the means of the columns, float64 (…, m), to the metric, float64 (…).
    """

    rows: NDArray[np.float64] | sparse.csr_array
    of_means: Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Measured:
    """An objective's own metrics on held-out examples.

    Attributes:
        values: metric → value.
        rows: metric → float64 (n,), one value an example where the metric is their mean, for paired intervals.
        counted: metric → what it is made of, where it is no mean over the examples.
        clusters: int (n,), the user or text that an example is of, where several are of one; ``None``: each by itself.
    """

    values: dict[str, float]
    rows: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    clusters: NDArray[np.integer] | None = None
    counted: dict[str, Counted] = field(default_factory=dict)


class Objective(ABC):
    """One thing to optimise, on one shop's material.

    A subclass is made from its config and a :class:`Material`, and draws its examples there and then.

    Class flags:
        name: in configuration and on the command line.
        reads: how the backbone has to read: in both directions, left to right, or any.
        model_class: which of transformers' classes brings the head that is needed.
        metric: of ``measure``, chooses the best checkpoint and ends training early.
        greater_is_better: whether more of it is better.
        tunes_vectors: whether the loss is on the encoder's own vectors, so that a projection may learn alone.
        heeds: which of ``label_smoothing``, ``r_drop`` and ``augmentation`` change what is learnt.

    Attributes:
        train: the examples to learn from, in a fixed order; each is what ``collate`` takes.
        held_out: examples of users or texts that are in no training.
        seed: of masks and draws within batches.
        r_drop: weight of two readings' disagreement, in training; of classifiers.
        augmentation: of the texts that are trained on; of classifiers.
        label_smoothing: of cross-entropies over classes, or over the texts of a batch, in training.
    """

    name: ClassVar[str]
    reads: ClassVar[Literal["any", "both", "left"]] = "any"
    model_class: ClassVar[str] = "AutoModel"
    metric: ClassVar[str] = "loss"
    greater_is_better: ClassVar[bool] = False
    tunes_vectors: ClassVar[bool] = False
    heeds: ClassVar[tuple[str, ...]] = ("label_smoothing",)

    train: Sequence[Any]
    held_out: Sequence[Any]
    seed: int
    label_smoothing: float = 0.0
    r_drop: float = 0.0
    augmentation: AugmentationConfig = AugmentationConfig()

    @property
    def facts(self) -> Facts:
        """What ``new_head`` needs to know; it is saved beside the weights."""
        return {}

    @property
    def learnt_from(self) -> str:
        """What there is to learn from, in one sentence, where the number of examples does not tell; else empty."""
        return ""

    @classmethod
    def new_head(cls, reader: Reader, facts: Facts) -> Module:
        """The module to add, untrained; by default what the backbone came with."""
        return reader.head

    def warm_start(self, reader: Reader, tokens: Tokens, batch_size: int) -> None:
        """Set the head to something better than random numbers before the first step; nothing by default."""
        del reader, tokens, batch_size

    @abstractmethod
    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """Tensors of a batch; what is random in it comes from ``batch_rng``, so that a resumed run repeats it."""

    def collate_training(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """As ``collate``, of a batch that is learnt from."""
        return self.collate(examples, tokens)

    @abstractmethod
    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean loss of a batch, a float32 scalar."""

    @abstractmethod
    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """Metrics on ``held_out``; ``loss`` is among them."""

    def held_out_groups(self) -> Sequence[Any]:
        """What each held-out example is of: those of one user or text are never parted. Each by itself by default."""
        return range(len(self.held_out))

    def held_out_clusters(self) -> NDArray[np.int64]:
        """The same as numbers from 0, int64 (n,)."""
        number: dict[Any, int] = {}
        return np.array([number.setdefault(one, len(number)) for one in self.held_out_groups()], dtype=np.int64)

    @property
    def parted(self) -> bool:
        """Whether what chooses a checkpoint is another half of what is held out than what is reported."""
        return len(set(self.held_out_groups())) >= LEAST_GROUPS

    def measuring(self, part: NDArray[np.intp]) -> Self:
        """The same objective, measured on some of the held-out examples.

        Args:
            part: their places.
        """
        one = copy.copy(self)
        one.held_out = [self.held_out[place] for place in part]
        return one

    def halves(self) -> tuple[Self, Self]:
        """What chooses the checkpoint, and what is reported: the figure of a choice's own examples is too good.

        Each measures half of what is held out, users and texts whole; both measure all where there are too few.
        """
        if not self.parted:
            return self, self
        cluster = self.held_out_clusters()
        n = int(cluster.max()) + 1
        first = np.random.default_rng([self.seed, 11]).permutation(n) < n // 2
        return self.measuring(np.flatnonzero(first[cluster])), self.measuring(np.flatnonzero(~first[cluster]))

    def batch_rng(self, keys: Sequence[int]) -> np.random.Generator:
        """Random numbers of a batch that holds these examples: a function of the seed and of the keys in their order.

        Args:
            keys: one number an example, such as its item row.
        """
        return np.random.default_rng([self.seed, 7, *(int(key) % 2**32 for key in keys)])


def batches(examples: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The examples in their order, ``size`` at a time."""
    for start in range(0, len(examples), size):
        yield examples[start : start + size]


def losses(objective: Objective, reader: Reader, tokens: Tokens, batch_size: int) -> float:
    """The mean loss over the held-out examples, batches weighted by their size."""
    torch = require("torch", "train")
    total, count = 0.0, 0
    with torch.inference_mode():
        for part in batches(objective.held_out, batch_size):
            batch = to_device(objective.collate(part, tokens), reader)
            total += float(objective.loss(reader, batch)) * len(part)
            count += len(part)
    return total / max(count, 1)


def unit_vectors(reader: Reader, tokens: Tokens, texts: Sequence[str], batch_size: int) -> Tensor:
    """The vectors of texts, without gradients, float32 (n, d), on the processor."""
    torch = require("torch", "train")
    with torch.inference_mode():
        parts = [reader.vectors(**to_device(tokens(part), reader)).float().cpu() for part in batches(texts, batch_size)]
    return torch.cat(parts)


def to_device(batch: Batch, reader: Reader | Module) -> Batch:
    """The batch where the model is."""
    device = next(iter(reader.named_parameters()))[1].device
    return {name: tensor.to(device) for name, tensor in batch.items()}
