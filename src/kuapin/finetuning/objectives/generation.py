"""Title → words: its tags, its selling points, or what is bought next."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kuapin.extras import require
from kuapin.finetuning.decoder import new_decoder, targets, written
from kuapin.finetuning.labelled import labelled_items
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Facts, Measured, Objective, batches, to_device
from kuapin.finetuning.objectives.masked_lm import per_token, require_texts
from kuapin.finetuning.reader import Module, Reader, Tensor
from kuapin.finetuning.tokens import IGNORED, Batch, Tokens

NEXT_ITEM = "next-item"


class GenerationConfig(BaseModel):
    """What is written (objective generation)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(
        NEXT_ITEM,
        min_length=1,
        description="next-item: the title of what the same user took next; or a task of the labels table, or a column "
        "of the items, such as description; several labels are written with commas.",
    )
    per_user: int = Field(10, ge=1, description="Steps of one history that are learned from at most (next-item).")
    held_out: float = Field(0.1, gt=0, lt=1, description="Share of titles, or users, that measure and do not train.")


class Generation(Objective):
    """L = −mean log p(word | those before it, the title), by a decoder that looks at every token of the title.

    Args:
        config: what is written.
        material: with it.

    Raises:
        InputError: there is too little of it.
    """

    name: ClassVar[str] = "generation"

    def __init__(self, config: GenerationConfig, material: Material) -> None:
        self.seed = material.seed
        if config.target == NEXT_ITEM:
            pairs = _next_items(material, config)
        else:
            found = labelled_items(material, config.target)
            out = material.held_out_texts(found.rows, config.held_out)
            pairs = [
                (material.titles[row], ", ".join(labels), material.titles[row], bool(held))
                for row, labels, held in zip(found.rows, found.labels, out, strict=True)
            ]
        self.train = [pair[:3] for pair in pairs if not pair[3]]
        self.held_out = [pair[:3] for pair in pairs if pair[3]]
        require_texts(self.train, self.held_out, self.name)

    @classmethod
    def new_head(cls, reader: Reader, facts: Facts) -> Module:
        """The decoder."""
        return new_decoder(reader, reader.width)

    def held_out_groups(self) -> Sequence[int | str]:
        """Their users (next-item), or their titles."""
        return [group for _, _, group in self.held_out]

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """Tokens of the titles; ``target_ids`` and ``labels`` of what is to be written, int64 (B, T)."""
        return tokens([title for title, *_ in examples]) | targets([words for _, words, *_ in examples], tokens)

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the tokens written."""
        smoothing = self.label_smoothing if reader.training else 0.0
        return written(self._logits(reader, batch), batch["labels"], smoothing)

    def _logits(self, reader: Reader, batch: Batch) -> Tensor:
        """Float32 (B, T, vocabulary)."""
        memory = reader.hidden(batch["input_ids"], batch["attention_mask"])
        return reader.head(reader.embeddings(), batch["target_ids"], memory, batch["attention_mask"])

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """``loss`` and ``perplexity`` per token, and ``accuracy`` of the most likely one after the right ones."""
        torch = require("torch", "train")
        total, right, of = [], [], []
        with torch.inference_mode():
            for part in batches(self.held_out, batch_size):
                batch = to_device(self.collate(part, tokens), reader)
                asked = batch["labels"] != IGNORED
                logits, labels = self._logits(reader, batch)[asked].float(), batch["labels"][asked]
                total.append(torch.nn.functional.cross_entropy(logits, labels, reduction="none").cpu())
                right.append((logits.argmax(dim=-1) == labels).cpu())
                of.append(asked.sum(dim=1).cpu())
        return per_token(torch.cat(total), torch.cat(right), torch.cat(of), self.held_out_clusters())


def _next_items(material: Material, config: GenerationConfig) -> list[tuple[str, str, int, bool]]:
    """Title, title of the next item of the same history, whose, whether it measures; no equal neighbours."""
    rng, out = material.rng("next"), material.held_out_users(config.held_out)
    found = []
    for user in np.flatnonzero(material.histories.lengths > 1):
        items = material.histories.of(int(user))
        steps = rng.permutation(len(items) - 1)[: config.per_user]
        for step in steps:
            title, following = material.titles[items[step]], material.titles[items[step + 1]]
            if title and following and title != following:
                found.append((title, following, int(user), bool(out[user])))
    return found
