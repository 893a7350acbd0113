"""Masked language modelling, which word is hidden here (Devlin et al. 2018, arXiv:1810.04805)."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.history_text import readings
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Counted, Measured, Objective, batches, to_device
from kuapin.finetuning.reader import Reader, Tensor
from kuapin.finetuning.tokens import IGNORED, Batch, Tokens


class MaskedLMConfig(BaseModel):
    """What is hidden, and what is read (objective masked-lm)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(0.15, gt=0, lt=1, description="Share of a text's tokens that are asked for.")
    history_items: int = Field(
        20, ge=0, le=1000, description="Histories are read as texts of so many titles at most; 0: the catalogue alone."
    )
    held_out: float = Field(0.05, gt=0, lt=1, description="Share of texts and users that measure and do not train.")


class MaskedLM(Objective):
    """L = −mean log p(token | the rest) over the tokens asked for: 80 % masked, 10 % random, 10 % as they are.

    Args:
        config: share of tokens, histories.
        material: with at least two distinct texts.

    Raises:
        InputError: there are too few texts.
    """

    name: ClassVar[str] = "masked-lm"
    reads: ClassVar[Literal["any", "both", "left"]] = "both"
    model_class: ClassVar[str] = "AutoModelForMaskedLM"

    def __init__(self, config: MaskedLMConfig, material: Material) -> None:
        self.config, self.seed = config, material.seed
        train, held_out = readings(material, config.held_out, config.history_items)
        require_texts(train, held_out, self.name)
        self.train, self.held_out = list(enumerate(train)), list(enumerate(held_out))

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """Tokens with some hidden; ``labels`` int64 (B, T), -100 where nothing is asked."""
        torch = require("torch", "train")
        batch = tokens([text for _, text in examples])
        ids = batch["input_ids"].numpy()
        rng = self.batch_rng([key for key, _ in examples])
        word = (batch["attention_mask"].numpy() == 1) & ~np.isin(ids, list(tokens.special_ids))
        lot = np.where(word, rng.random(ids.shape), np.inf)
        asked = (lot < self.config.share) | (word & (lot == lot.min(axis=1, keepdims=True)))  # one at least
        fate = rng.random(ids.shape)
        hidden = np.where(asked & (fate < 0.8), _mask_id(tokens), ids)
        random = rng.integers(0, len(tokens.tokenizer), ids.shape)
        hidden = np.where(asked & (fate >= 0.8) & (fate < 0.9), random, hidden)
        labels = np.where(asked, ids, IGNORED)
        return batch | {"input_ids": torch.from_numpy(hidden), "labels": torch.from_numpy(labels)}

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the tokens asked for; the vocabulary is scored at these alone."""
        logits, labels = self._answers(reader, batch)
        functional = require("torch", "train").nn.functional
        smoothing = self.label_smoothing if reader.training else 0.0
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)

    def _answers(self, reader: Reader, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits float32 (n, vocabulary) and right tokens int64 (n,)."""
        asked = batch["labels"] != IGNORED
        hidden = reader.hidden(batch["input_ids"], batch["attention_mask"])[asked]  # (n, h)
        return reader.head(hidden), batch["labels"][asked]

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """``loss`` and ``perplexity`` per token asked for, and ``accuracy`` of the most likely one; masks are fixed."""
        torch = require("torch", "train")
        total, right, of = [], [], []
        with torch.inference_mode():
            for part in batches(self.held_out, batch_size):
                batch = to_device(self.collate(part, tokens), reader)
                logits, labels = self._answers(reader, batch)
                total.append(torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none").cpu())
                right.append((logits.argmax(dim=-1) == labels).cpu())
                of.append((batch["labels"] != IGNORED).sum(dim=1).cpu())
        return per_token(torch.cat(total), torch.cat(right), torch.cat(of), self.held_out_clusters())


def _mask_id(tokens: Tokens) -> int:
    if tokens.tokenizer.mask_token_id is None:
        raise InputError("masked-lm needs a tokenizer with a mask token; this one has none. Choose another backbone.")
    return int(tokens.tokenizer.mask_token_id)


def per_token(losses: Tensor, right: Tensor, of: Tensor, clusters: NDArray[np.int64]) -> Measured:
    """Metrics of a language model from every token asked for.

    Args:
        losses: float (n,).
        right: bool (n,), whether the most likely token is the right one.
        of: int64 (texts,), how many of the tokens are of each text.
        clusters: int64 (texts,), the user or text that each is of.
    """
    rows = {"loss": losses.double().numpy(), "accuracy": right.double().numpy()}
    loss = float(rows["loss"].mean())
    values = {"loss": loss, "perplexity": float(np.exp(min(loss, 700.0))), "accuracy": float(rows["accuracy"].mean())}
    perplexity = Counted(rows["loss"][:, None], lambda means: np.exp(np.minimum(means[..., 0], 700.0)))
    return Measured(values, rows, np.repeat(clusters, of.numpy()), {"perplexity": perplexity})


def require_texts(train: Sequence[Any], held_out: Sequence[Any], objective: str) -> None:
    """Refuse material that is too small.

    Raises:
        InputError: there is nothing to train on or nothing to measure on.
    """
    if len(train) < 2 or not held_out:
        raise InputError(
            f"{objective} needs texts to train on and texts to measure on; {len(train)} and {len(held_out)} were "
            "found. Import more items, or raise the share that is held out."
        )
