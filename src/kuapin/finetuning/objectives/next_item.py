"""A user's recent items as text → did he take this item?"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kuapin import columns as c
from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.contrast import found_again, in_batch_softmax
from kuapin.finetuning.history_text import history_text
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Facts, Measured, Objective, unit_vectors
from kuapin.finetuning.reader import Module, Reader, Tensor
from kuapin.finetuning.tokens import Batch, Tokens

HELD_OUT_STEPS = 512
_NO_TEXT = -1


class NextItemConfig(BaseModel):
    """What of a history is read, and what the next item is told from (objective next-item)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: Literal["softmax", "binary"] = Field(
        "softmax", description="softmax over the item and sampled ones, or a yes or no for each of them."
    )
    negatives: int = Field(4, ge=1, le=64, description="Items drawn for every right one, uniformly from the catalogue.")
    history_items: int = Field(10, ge=1, le=1000, description="Most recent items that are read, by title.")
    per_user: int = Field(10, ge=1, description="Steps of one history that are learned from at most.")
    answers: tuple[str, ...] = Field(
        (), description="Events that count as taking an item, such as click and purchase; empty: all."
    )
    repeats: bool = Field(
        default=False,
        description="Ask for items too whose title stands in the history that is read. Off: they are found by their "
        "words alone, and the shop has a source of its own for them (repeat).",
    )
    temperature: float = Field(0.05, gt=0, le=10, description="Of the softmax over cosines.")
    held_out: float = Field(0.05, gt=0, lt=1, description="Share of users whose steps measure and do not train.")


class NextItem(Objective):
    """Histories and items are read by the same encoder; the score of a pair is their cosine, s.

    softmax: L = −log softmax over the right item, the right items of the batch's other rows with their sampling
    correction, and the sampled ones. binary: L = −mean [y log σ(a s + b) + (1 − y) log(1 − σ(a s + b))] over the right
    item and the sampled ones, a and b learned.

    Args:
        config: histories and negatives.
        material: with histories of at least two items.

    Raises:
        InputError: there are no such histories, or an event has no such name.
    """

    name: ClassVar[str] = "next-item"
    metric: ClassVar[str] = "mrr"
    greater_is_better: ClassVar[bool] = True
    tunes_vectors: ClassVar[bool] = True

    def __init__(self, config: NextItemConfig, material: Material) -> None:
        self.config, self.seed = config, material.seed
        self.texts, self.titles, self.codes = material.texts, material.titles, material.text_codes
        self.pool = material.text_rows()
        steps = _steps(config, material)
        out = material.held_out_users(config.held_out)
        self.train = [(user, before, item) for user, before, item in steps if not out[user]]
        held = [(user, before, item) for user, before, item in steps if out[user]]
        if len(self.train) < 2 or len(held) < 2:
            two, way = ("titles", "") if config.repeats else ("different titles", "set next_item.repeats=true, ")
            raise InputError(
                f"next-item needs users with two items that have {two}; {len(self.train)} steps to train on and "
                f"{len(held)} to measure on were found. Import more log, {way}or choose masked-lm or simcse."
            )
        kept = material.rng("measured").permutation(len(held))[:HELD_OUT_STEPS]
        self.held_out = [held[place] for place in kept]
        counts = np.bincount(self.codes[[item for _, _, item in self.train]], minlength=int(self.codes.max()) + 1)
        self.log_q = np.log(np.maximum(counts, 1) / len(self.train)).astype(np.float32)

    @property
    def facts(self) -> Facts:
        """Which loss it is."""
        return {"loss": self.config.loss}

    @classmethod
    def new_head(cls, reader: Reader, facts: Facts) -> Module:
        """A scale and an offset for the binary loss, (n, 1) → (n, 1); nothing for the softmax."""
        torch = require("torch", "train")
        if facts["loss"] != "binary":
            return torch.nn.Identity()
        head = torch.nn.Linear(1, 1)
        with torch.no_grad():
            head.weight.fill_(10.0)
            head.bias.fill_(-5.0)
        return head

    def held_out_groups(self) -> Sequence[int]:
        """Their users."""
        return [user for user, _, _ in self.held_out]

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """Texts of the histories, of the right items, and of the sampled ones behind them; what is masked; log q."""
        torch = require("torch", "train")
        rng = self.batch_rng([user * 65_537 + item for user, _, item in examples])
        right = np.array([item for _, _, item in examples])
        drawn = self.pool[rng.integers(0, len(self.pool), (len(examples), self.config.negatives))]
        code = self.codes[right]
        texts = [self._history(before) for _, before, _ in examples]
        texts += [self.texts[row] for row in [*right, *drawn.ravel()]]
        return tokens(texts) | {
            "masked": torch.from_numpy(code[:, None] == code[None, :]),
            "log_q": torch.from_numpy(self.log_q[code]),
            "wanted": torch.from_numpy(np.hstack([code[:, None], self.codes[drawn]]) == code[:, None]).float(),
        }

    def _history(self, before: Sequence[int]) -> str:
        return history_text(before, self.titles, self.config.history_items)

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the batch; a sampled item that is the right one counts as right, or is left out."""
        torch = require("torch", "train")
        n = len(batch["log_q"])
        vectors = reader.vectors(batch["input_ids"], batch["attention_mask"])
        history, right, drawn = vectors[:n], vectors[n : 2 * n], vectors[2 * n :].view(n, -1, vectors.shape[-1])
        if self.config.loss == "softmax":
            return in_batch_softmax(
                history, right, self.config.temperature, log_q=batch["log_q"], masked=batch["masked"], hard=drawn,
                hard_masked=batch["wanted"][:, 1:] > 0, smoothing=self.label_smoothing if reader.training else 0.0,
            ).mean()  # fmt: skip
        items = torch.cat([right.unsqueeze(1), drawn], dim=1)  # (n, 1 + m, d)
        cosine = torch.einsum("bd,bmd->bm", history, items)
        logits = reader.head(cosine.unsqueeze(-1)).squeeze(-1)  # (n, 1 + m)
        smoothing = self.label_smoothing if reader.training else 0.0
        wanted = batch["wanted"] * (1 - smoothing) + smoothing / 2
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """How well the next item is found from the history (``contrast.found_again``)."""
        first = unit_vectors(reader, tokens, [self._history(before) for _, before, _ in self.held_out], batch_size)
        right = np.array([item for _, _, item in self.held_out])
        second = unit_vectors(reader, tokens, [self.texts[row] for row in right], batch_size)
        own = np.full(len(right), _NO_TEXT)
        users = np.array([user for user, _, _ in self.held_out])
        return found_again(first, second, own, self.codes[right], users, self.config.temperature)


def _steps(config: NextItemConfig, material: Material) -> list[tuple[int, list[int], int]]:
    """User, the items before (the most recent ``history_items``), the item taken; none of their titles, by default."""
    unknown = [event for event in config.answers if event not in c.EVENTS]
    if unknown:
        raise InputError(f"next_item.answers has {unknown[0]!r}; events are {', '.join(c.EVENTS)}. Correct it.")
    codes = np.array([c.EVENTS.index(event) for event in config.answers or c.EVENTS])
    histories, rng, found = material.histories, material.rng("steps"), []
    titles = material.titles
    named = np.array([bool(title) for title in titles])
    for user in np.flatnonzero(histories.lengths > 1):
        place = slice(histories.indptr[user], histories.indptr[user + 1])
        items, taken = histories.items[place], np.isin(histories.events[place], codes)
        steps = {}
        for step in rng.permutation(1 + np.flatnonzero(taken[1:] & named[items[1:]])).tolist():
            before = items[max(0, step - config.history_items) : step].tolist()
            read = {titles[item] for item in before}
            if any(read) and (config.repeats or titles[items[step]] not in read):
                steps[step] = (int(user), before, int(items[step]))
            if len(steps) == config.per_user:
                break
        found += [steps[step] for step in sorted(steps)]
    return found
