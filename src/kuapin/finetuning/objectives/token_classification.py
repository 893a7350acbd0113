"""Spans in titles: brand, product type, model, as BIO tags (Ramshaw and Marcus 1995)."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.labelled import labelled_items
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Counted, Facts, Measured, Objective, batches, to_device
from kuapin.finetuning.reader import Module, Reader, Tensor
from kuapin.finetuning.scores import span_counts, span_f1, span_precision, span_recall, spans
from kuapin.finetuning.tokens import IGNORED, Batch, Tokens

Piece = tuple[int, int, str]
"""The characters from, to (behind the last), and what they are."""
Example = tuple[str, list[Piece]]
"""A title and its spans."""


class TokenClassificationConfig(BaseModel):
    """Which spans are looked for (objective token-classification)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: tuple[str, ...] = Field(
        ("brand",),
        min_length=1,
        description="Columns of the items, or tasks of the labels table, whose values are looked for in the titles.",
    )
    held_out: float = Field(0.1, gt=0, lt=1, description="Share of titles that measure and do not train.")
    unseen: bool = Field(
        default=False,
        description="Hold out values (brands) of the one task instead of titles, so that none that is measured is "
        "trained on; a title with values of both sides is left out.",
    )

    @model_validator(mode="after")
    def _holds_out_one_task(self) -> Self:
        if self.unseen and len(self.tasks) > 1:
            raise ValueError(
                f"unseen holds out the values of one task, and tasks are {', '.join(self.tasks)}; name one"
            )
        return self


class TokenClassification(Objective):
    """L = −mean log p(tag) over the words of a title; the second and later pieces of a word, and padding, are left out.

    Titles in which a value of theirs does not stand are left out, because nothing says which words it would be.

    Args:
        config: what is looked for.
        material: with titles and values.

    Raises:
        InputError: no title holds a value.
    """

    name: ClassVar[str] = "token-classification"
    metric: ClassVar[str] = "span_f1"
    greater_is_better: ClassVar[bool] = True

    def __init__(self, config: TokenClassificationConfig, material: Material) -> None:
        self.seed, self.tasks = material.seed, config.tasks
        found: dict[int, list[Piece]] = {}
        groups: dict[str, set[str]] = {}
        for task in config.tasks:
            items = labelled_items(material, task)
            for row, labels in zip(items.rows.tolist(), items.labels, strict=True):
                title = material.titles[row]
                for label in labels:
                    pieces = occurrences(title, label, task)
                    if pieces:
                        found.setdefault(row, []).extend(pieces)
                        groups.setdefault(title, set()).add(label.casefold() if config.unseen else title)
        names = sorted(set().union(*groups.values()))
        lot = dict(zip(names, material.rng("spans").random(len(names)) < config.held_out, strict=True))
        out = {title: {bool(lot[name]) for name in own} for title, own in groups.items()}
        examples = [(material.titles[row], without_overlaps(pieces)) for row, pieces in sorted(found.items())]
        self.train = [(title, pieces) for title, pieces in examples if out[title] == {False}]
        self.held_out = [(title, pieces) for title, pieces in examples if out[title] == {True}]
        self.groups = {title: min(own) for title, own in groups.items()}
        if not self.train or not self.held_out:
            raise InputError(
                f"token-classification looks for {', '.join(config.tasks)} in the titles; {len(found):,} titles hold "
                "a value, which is too few to train on some and measure on others. Import more items, or name other "
                "columns."
            )

    @classmethod
    def of_split(cls, tasks: tuple[str, ...], train: Sequence[Example], held_out: Sequence[Example], seed: int) -> Self:
        """The objective on spans that are known by their places, and on a split that was made elsewhere.

        Args:
            tasks: kinds of spans.
            train: titles to learn from.
            held_out: titles to measure.
            seed: of draws within batches.
        """
        one = cls.__new__(cls)
        one.seed, one.tasks, one.train, one.held_out = seed, tasks, list(train), list(held_out)
        one.groups = {title: title for title, _ in held_out}
        return one

    @property
    def facts(self) -> Facts:
        """The tags in the order of the logits."""
        return {"tags": ["O", *(f"{mark}-{task}" for task in self.tasks for mark in ("B", "I"))]}

    @classmethod
    def new_head(cls, reader: Reader, facts: Facts) -> Module:
        """Dropout and one linear layer on every token vector: float32 (B, T, h) → (B, T, tags)."""
        torch = require("torch", "train")
        return torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(reader.width, len(facts["tags"])))

    def held_out_groups(self) -> Sequence[str]:
        """Their titles, or the first of their values where values are held out."""
        return [self.groups[title] for title, _ in self.held_out]

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """Tokens; ``labels`` int64 (B, T), the tag of a word at its first piece, -100 elsewhere."""
        torch = require("torch", "train")
        encoding = tokens.encoding([title for title, _ in examples])
        place = {tag: number for number, tag in enumerate(self.facts["tags"])}
        labels = []
        for row, (title, pieces) in enumerate(examples):
            tags = word_tags(encoding, row, title, pieces, len(tokens.prefix))
            labels.append([place[tag] if tag else IGNORED for tag in tags])
        return dict(encoding.convert_to_tensors("pt")) | {"labels": torch.tensor(labels)}

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the words of the batch."""
        functional = require("torch", "train").nn.functional
        logits = reader.head(reader.hidden(batch["input_ids"], batch["attention_mask"]))  # (B, T, tags)
        smoothing = self.label_smoothing if reader.training else 0.0
        return functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), label_smoothing=smoothing)

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """``span_f1``, ``precision`` and ``recall`` by exact match over words; ``loss``."""
        torch = require("torch", "train")
        tags = self.facts["tags"]
        wanted, said, total, count = [], [], 0.0, 0
        with torch.inference_mode():
            for part in batches(self.held_out, batch_size):
                batch = to_device(self.collate(part, tokens), reader)
                logits = reader.head(reader.hidden(batch["input_ids"], batch["attention_mask"])).float()
                asked = batch["labels"] != IGNORED
                loss = torch.nn.functional.cross_entropy(logits[asked], batch["labels"][asked], reduction="sum")
                total, count = total + float(loss), count + int(asked.sum())
                for labels, guess, here in zip(batch["labels"], logits.argmax(dim=-1), asked, strict=True):
                    wanted.append(spans([tags[tag] for tag in labels[here].tolist()]))
                    said.append(spans([tags[tag] for tag in guess[here].tolist()]))
        counts = span_counts(wanted, said)
        metrics = {"span_f1": span_f1, "precision": span_precision, "recall": span_recall}
        values = {"loss": total / max(count, 1)} | {name: float(of(counts.sum(axis=0))) for name, of in metrics.items()}
        counted = {name: Counted(counts, of) for name, of in metrics.items()}
        return Measured(values, clusters=self.held_out_clusters(), counted=counted)


def tagged(
    reader: Reader, tags: Sequence[str], tokens: Tokens, titles: Sequence[str], batch_size: int = 64
) -> list[list[Piece]]:
    """The spans that a tuned tagger finds in titles; what lies behind the cut has none.

    Args:
        reader: with its head, dropout off.
        tags: in the order of the logits, as ``facts`` has them.
        tokens: of its backbone.
        titles: n of them.
        batch_size: titles at a time.
    """
    torch = require("torch", "train")
    found: list[list[Piece]] = [[] for _ in titles]
    order = sorted(range(len(titles)), key=lambda place: len(titles[place]))
    with torch.inference_mode():
        for part in batches(order, batch_size):
            encoding = tokens.encoding([titles[place] for place in part])
            batch = to_device(dict(encoding.convert_to_tensors("pt")), reader)
            said = reader.head(reader.hidden(**batch)).argmax(dim=-1).tolist()  # (B, T)
            for row, place in enumerate(part):
                names = [tags[tag] for tag in said[row]]
                found[place] = _pieces_of(encoding, row, titles[place], names, len(tokens.prefix))
    return found


def _pieces_of(encoding: Any, row: int, title: str, said: Sequence[str], offset: int) -> list[Piece]:
    """What the tags of the first tokens of words say, by characters of the title."""
    firsts: dict[int, int] = {}
    for place, word in enumerate(encoding.word_ids(row)):
        if word is not None:
            firsts.setdefault(word, place)
    found = {word: _letters(title, encoding.word_to_chars(row, word), offset) for word in firsts}
    words = [word for word, (start, end) in found.items() if start < end]
    return [
        (found[words[start]][0], found[words[end - 1]][1], kind)
        for start, end, kind in sorted(spans([said[firsts[word]] for word in words]))
    ]


def _letters(title: str, chars: Any, offset: int) -> tuple[int, int]:
    """Where a word's letters are in the title, (n, n) where it has none; a GPT-like model's hold the space before."""
    start, end = max(chars.start - offset, 0), max(chars.end - offset, 0)
    start = end - len(title[start:end].lstrip())
    return start, start + len(title[start:end].rstrip())


def occurrences(title: str, value: str, kind: str) -> list[Piece]:
    """Where a value stands in a title as whole words, in any case."""
    if not value.strip():
        return []
    edges = (r"(?<!\w)" if value[0].isascii() else "", r"(?!\w)" if value[-1].isascii() else "")
    pattern = edges[0] + re.escape(value) + edges[1]  # scripts without spaces have no edges of words
    return [(found.start(), found.end(), kind) for found in re.finditer(pattern, title, re.IGNORECASE)]


def without_overlaps(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces in their order; of two that overlap, the longer one."""
    kept: list[Piece] = []
    for piece in sorted(pieces, key=lambda one: (one[0] - one[1], one[0])):
        if all(piece[1] <= other[0] or piece[0] >= other[1] for other in kept):
            kept.append(piece)
    return sorted(kept)


def word_tags(encoding: Any, row: int, title: str, pieces: Sequence[Piece], offset: int) -> list[str | None]:
    """The tag of every token; ``None`` for special tokens, padding and later pieces of a word.

    Args:
        encoding: of the tokenizer.
        row: which text.
        title: the text without the prefix.
        pieces: its spans, by characters of the title.
        offset: length of the prefix, which has no tags.
    """
    tags: list[str | None] = []
    before: tuple[int | None, Piece | None] = (None, None)
    for place, word in enumerate(encoding.word_ids(row)):
        skipped = word is None or word == before[0]
        start, end = (0, 0) if skipped else _letters(title, encoding.word_to_chars(row, word), offset)
        if start == end:
            tags.append(None)
            continue
        end = max(encoding.token_to_chars(row, place).end - offset, start + 1)  # it may be the space alone
        inside = next((piece for piece in pieces if piece[0] < end and start < piece[1]), None)
        tags.append("O" if inside is None else f"{'I' if inside == before[1] else 'B'}-{inside[2]}")
        before = (word, inside)
    return tags
