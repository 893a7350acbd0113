"""Text → category, tag or attribute: binary, multi-class or multi-label."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.counts import counted
from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.augmentation import augmented
from kuapin.finetuning.contrast import supervised_contrast
from kuapin.finetuning.labelled import (
    Labelled,
    frequent,
    guessed_items,
    labelled_items,
    split_by_class,
    with_guesses,
)
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Counted, Facts, Measured, Objective, batches, to_device
from kuapin.finetuning.r_drop import disagreement
from kuapin.finetuning.reader import Module, Reader, Tensor, vector_width
from kuapin.finetuning.rewriting import Rewritings, rewritings
from kuapin.finetuning.scores import label_counts, macro_f1, macro_f1_of
from kuapin.finetuning.tokens import Batch, Tokens

PROBE_L2, PROBE_STEPS = 0.05, 200
"""As sklearn's C = 1 / (2 · 0.05) = 10, which suits vectors of length 1."""
Kind = Literal["binary", "multi-class", "multi-label"]


class ItemClassificationConfig(BaseModel):
    """Which labels, and how they exclude each other (objective item-classification)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = Field(
        "leaf",
        min_length=1,
        description="Task of the labels table; or category, leaf (the whole path), or a column of the items.",
    )
    kind: Literal["auto", "binary", "multi-class", "multi-label"] = Field(
        "auto",
        description="auto: multi-label where an item has two labels, binary where there are two, else multi-class.",
    )
    min_items: int = Field(
        1,
        ge=1,
        description="Labels of fewer titles are left out; 1: none is, and one with a single title is refused.",
    )
    labels_per_class: int | None = Field(
        None, ge=1, description="Items of a label that are trained on at most. Not set: all."
    )
    probe: bool = Field(
        default=True,
        description="The head starts as the regression on the frozen vectors, so that the first steps spoil nothing.",
    )
    contrast: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Weight of the supervised contrastive loss beside the labels' own: vectors of one label draw "
        "together. It wants several titles of a label in a batch.",
    )
    temperature: float = Field(0.1, gt=0, le=10, description="Of that loss's softmax over cosines.")
    held_out: float = Field(0.2, gt=0, lt=1, description="Share of a label's titles that measure and do not train.")


class ItemClassification(Objective):
    """Titles alone are read, because the text of an item names its category.

    binary, multi-label: L = −mean [y log σ(z) + (1 − y) log(1 − σ(z))], z for the second of two labels, or one a label.
    multi-class: L = −log softmax(z)_y.
    With ``contrast``: + contrast · ``supervised_contrast``, those being alike that share a label.

    Args:
        config: task and kind.
        material: with labels.

    Raises:
        InputError: no item has a label, there is one label only, or a label has one title only.
    """

    name: ClassVar[str] = "item-classification"
    metric: ClassVar[str] = "macro_f1"
    greater_is_better: ClassVar[bool] = True
    heeds: ClassVar[tuple[str, ...]] = ("label_smoothing", "r_drop", "augmentation")

    def __init__(self, config: ItemClassificationConfig, material: Material) -> None:
        found = labelled_items(material, config.task)
        found = frequent(found, material.titles, config.min_items) if config.min_items > 1 else found
        draw = material.rng("classes")
        train, held_out = split_by_class(found, material.titles, draw, config.held_out, config.labels_per_class)
        guessed = guessed_items(material, config.task)
        train = with_guesses(train, held_out, guessed, material.titles, config.labels_per_class)
        self._take(config, material.titles, train, held_out, material.seed)

    @classmethod
    def of_split(
        cls, config: ItemClassificationConfig, titles: Sequence[str], train: Labelled, held_out: Labelled, seed: int
    ) -> Self:
        """The objective on a split that was made elsewhere.

        Args:
            config: whose draw and split are not asked.
            titles: of every row.
            train: rows to learn from, every label among theirs.
            held_out: rows to measure.
            seed: of draws within batches.
        """
        one = cls.__new__(cls)
        one._take(config, titles, train, held_out, seed)
        return one

    def _take(
        self, config: ItemClassificationConfig, titles: Sequence[str], train: Labelled, held_out: Labelled, seed: int
    ) -> None:
        self.config, self.seed, self.titles = config, seed, titles
        every = (*train.labels, *held_out.labels)
        self.labels = sorted({label for labels in every for label in labels})
        self.kind: Kind = _kind(config.kind, every, len(self.labels))
        self.train = list(zip(train.rows.tolist(), train.labels, strict=True))
        self.held_out = list(zip(held_out.rows.tolist(), held_out.labels, strict=True))

    @property
    def facts(self) -> Facts:
        """The labels in the order of the logits, and their kind."""
        return {"labels": self.labels, "kind": self.kind}

    @property
    def learnt_from(self) -> str:
        """Titles and labels, and which label has the fewest."""
        titles = Counter(label for _, labels in self.train for label in labels)
        rarest = min(self.labels, key=titles.__getitem__)
        of = f"{counted(len(self.train), 'title')} of {len(self.labels):,} labels"
        return f"{of} train; the rarest, {rarest!r}, has {titles[rarest]:,}."

    @classmethod
    def new_head(cls, reader: Reader, facts: Facts) -> Module:
        """Dropout and one linear layer on the pooled vector: float32 (B, d) → (B, labels), (B, 1) where binary."""
        torch = require("torch", "train")
        width = vector_width(reader)
        n = 1 if facts["kind"] == "binary" else len(facts["labels"])
        return torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(width, n))

    @cached_property
    def rewritten(self) -> Rewritings:
        """What models make of the titles that are learnt from, once for a run; the same for the same seed."""
        return rewritings([self.titles[row] for row, _ in self.train], self.augmentation, self.seed)

    def warm_start(self, reader: Reader, tokens: Tokens, batch_size: int) -> None:
        """Linear probing before fine-tuning (Kumar et al. 2022, arXiv:2202.10054)."""
        if not self.config.probe:
            return
        torch = require("torch", "train")
        examples = sorted(self.train, key=lambda example: len(self.titles[example[0]]))
        vectors, wanted = [], []
        with torch.inference_mode():
            for part in batches(examples, batch_size):
                batch = to_device(self.collate(part, tokens), reader)
                vectors.append(reader.pooled(batch["input_ids"], batch["attention_mask"]).float())
                wanted.append(batch["wanted"])
        fit_probe(reader.head[-1], torch.cat(vectors).clone(), torch.cat(wanted).clone(), self.kind)

    def held_out_groups(self) -> Sequence[str]:
        """Their titles."""
        return [self.titles[row] for row, _ in self.held_out]

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """Tokens of the titles; ``wanted`` float32 (B, labels), (B, 1) where binary."""
        return self._batch([self.titles[row] for row, _ in examples], examples, tokens)

    def collate_training(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """The same with titles written otherwise, where the settings ask for it; in each epoch anew."""
        titles = [self.titles[row] for row, _ in examples]
        if self.augmentation.on:
            # The company of a batch is another in every epoch, and so is the draw; a resumed run repeats it
            rng = self.batch_rng([row for row, _ in examples])
            titles = [augmented(self.rewritten.drawn(title, rng), self.augmentation, rng) for title in titles]
        return self._batch(titles, examples, tokens)

    def _batch(self, titles: Sequence[str], examples: Sequence[Any], tokens: Tokens) -> Batch:
        torch = require("torch", "train")
        wanted = self._wanted(examples)
        wanted = wanted[:, 1:] if self.kind == "binary" else wanted
        return tokens(titles) | {"wanted": torch.from_numpy(wanted).float()}

    def _wanted(self, examples: Sequence[Any]) -> NDArray[np.bool_]:
        place = {label: number for number, label in enumerate(self.labels)}
        out = np.zeros((len(examples), len(self.labels)), np.bool_)
        for row, (_, labels) in enumerate(examples):
            out[row, [place[label] for label in labels]] = True
        return out

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the batch, and over the labels where each is a question of its own."""
        smoothing = self.label_smoothing if reader.training else 0.0
        pooled = reader.pooled(batch["input_ids"], batch["attention_mask"])
        logits = reader.head(pooled)
        loss = class_loss(logits, batch["wanted"], self.kind, smoothing)
        added = self._contrast(pooled, batch["wanted"]) if self.config.contrast and reader.training else 0.0
        if not (self.r_drop and reader.training):
            return loss + added
        again = reader.head(reader.pooled(batch["input_ids"], batch["attention_mask"]))
        loss = (loss + class_loss(again, batch["wanted"], self.kind, smoothing)) / 2
        apart = disagreement(logits, again, "softmax" if self.kind == "multi-class" else "sigmoid")
        return loss + added + self.r_drop * apart

    def _contrast(self, pooled: Tensor, wanted: Tensor) -> Tensor:
        unit = require("torch", "train").nn.functional.normalize(pooled.float(), dim=-1)
        alike = wanted == wanted.T if self.kind == "binary" else wanted @ wanted.T > 0
        return self.config.contrast * supervised_contrast(unit, alike, self.config.temperature)

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """``loss``, ``macro_f1`` over the labels, and ``accuracy``: all of an item's labels right."""
        torch = require("torch", "train")
        parts = []
        with torch.inference_mode():
            for part in batches(self.held_out, batch_size):
                batch = to_device(self.collate(part, tokens), reader)
                parts.append(reader.head(reader.pooled(batch["input_ids"], batch["attention_mask"])).float().cpu())
        logits = torch.cat(parts)
        wanted = self._wanted(self.held_out)
        asked = torch.from_numpy(wanted[:, 1:] if self.kind == "binary" else wanted).float()
        said = _said(logits.numpy(), self.kind)
        right = (said == wanted).all(axis=1).astype(np.float64)
        values = {"loss": float(class_loss(logits, asked, self.kind)), **_judged(wanted, said)}
        macro = Counted(label_counts(wanted, said), macro_f1_of)
        return Measured(values, {"accuracy": right}, self.held_out_clusters(), {"macro_f1": macro})

    def judged(self, chances: NDArray[np.float32]) -> dict[str, float]:
        """``macro_f1`` and ``accuracy`` of what others say of ``held_out``: probabilities float32 (n, labels)."""
        if self.kind == "multi-class":
            said = np.asarray(np.arange(chances.shape[1]) == chances.argmax(axis=1)[:, None])
        else:
            said = chances >= 0.5
        return _judged(self._wanted(self.held_out), said)


def fit_probe(linear: Module, vectors: Tensor, wanted: Tensor, kind: Kind) -> None:
    """Fit a linear head to fixed vectors: the mean class loss + PROBE_L2 / n · ‖W‖² on vectors of mean length 1.

    Args:
        linear: changed in place.
        vectors: float32 (n, d).
        wanted: float32 (n, labels), (n, 1) where binary.
        kind: of the labels.
    """
    torch = require("torch", "train")
    length = float(vectors.norm(dim=1).mean().clamp(min=1e-9))
    weight = torch.zeros_like(linear.weight, requires_grad=True)
    bias = torch.zeros_like(linear.bias, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=PROBE_STEPS, line_search_fn="strong_wolfe")
    scaled, n = vectors / length, len(vectors)

    def closure() -> Tensor:
        solver.zero_grad()
        loss = class_loss(scaled @ weight.T + bias, wanted, kind) + PROBE_L2 / n * weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    with torch.no_grad():
        linear.weight.copy_(weight / length)
        linear.bias.copy_(bias)


def class_loss(logits: Tensor, wanted: Tensor, kind: Kind, smoothing: float = 0.0) -> Tensor:
    """The mean cross-entropy, categorical or binary.

    Args:
        logits: float32 (B, n).
        wanted: float32 (B, n), 0 or 1; one 1 a row where ``kind`` is multi-class.
        kind: of the labels.
        smoothing: ε; the targets are moved by ε towards the uniform distribution, ½ where binary.
    """
    functional = require("torch", "train").nn.functional
    if kind == "multi-class":
        return functional.cross_entropy(logits, wanted.argmax(dim=1), label_smoothing=smoothing)
    return functional.binary_cross_entropy_with_logits(logits, wanted * (1 - smoothing) + smoothing / 2)


def _judged(wanted: NDArray[np.bool_], said: NDArray[np.bool_]) -> dict[str, float]:
    return {"macro_f1": macro_f1(wanted, said), "accuracy": float((said == wanted).all(axis=1).mean())}


def _said(logits: NDArray[np.float32], kind: Kind) -> NDArray[np.bool_]:
    """Which labels are given, bool (n, labels)."""
    if kind == "binary":
        return np.hstack([logits < 0, logits >= 0])
    if kind == "multi-label":
        return logits >= 0
    return np.asarray(np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None])


def _kind(asked: str, labels: Sequence[tuple[str, ...]], n: int) -> Kind:
    several = sum(len(one) > 1 for one in labels)
    if asked in ("binary", "multi-class") and several:
        raise InputError(
            f"item_classification.kind is {asked}, but {several:,} items have several labels. Use multi-label."
        )
    if asked == "binary" and n != 2:
        raise InputError(f"item_classification.kind is binary, but there are {n} labels. Use multi-class.")
    if asked != "auto":
        return asked  # type: ignore[return-value]
    return "multi-label" if several else "binary" if n == 2 else "multi-class"
