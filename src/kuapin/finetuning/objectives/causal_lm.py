"""Causal language modelling, which word comes next (Radford et al. 2019)."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from kuapin.extras import require
from kuapin.finetuning.history_text import readings
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Measured, Objective, batches, to_device
from kuapin.finetuning.objectives.masked_lm import per_token, require_texts
from kuapin.finetuning.reader import Reader, Tensor
from kuapin.finetuning.tokens import IGNORED, Batch, Tokens


class CausalLMConfig(BaseModel):
    """What is read (objective causal-lm)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history_items: int = Field(
        20, ge=0, le=1000, description="Histories are read as texts of so many titles at most; 0: the catalogue alone."
    )
    held_out: float = Field(0.05, gt=0, lt=1, description="Share of texts and users that measure and do not train.")


class CausalLM(Objective):
    """L = −mean log p(token | those before it), padding left out; the end of a text is a token, and so is its start.

    Args:
        config: histories or not.
        material: with at least two distinct texts.

    Raises:
        InputError: there are too few texts.
    """

    name: ClassVar[str] = "causal-lm"
    reads: ClassVar[Literal["any", "both", "left"]] = "left"
    model_class: ClassVar[str] = "AutoModelForCausalLM"

    def __init__(self, config: CausalLMConfig, material: Material) -> None:
        self.seed = material.seed
        self.train, self.held_out = readings(material, config.held_out, config.history_items)
        require_texts(self.train, self.held_out, self.name)

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """Tokens; ``labels`` int64 (B, T), -100 on padding."""
        edge = tokens.tokenizer.eos_token or ""
        batch = tokens([f"{edge}{text}{edge}" for text in examples])
        return batch | {"labels": batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED)}

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the tokens."""
        logits, labels = self._answers(reader, batch)
        functional = require("torch", "train").nn.functional
        smoothing = self.label_smoothing if reader.training else 0.0
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)

    def _answers(self, reader: Reader, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits float32 (n, vocabulary) and the tokens that came next int64 (n,)."""
        following = batch["labels"][:, 1:]
        asked = following != IGNORED
        hidden = reader.hidden(batch["input_ids"], batch["attention_mask"])[:, :-1][asked]  # (n, h)
        return reader.head(hidden), following[asked]

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """``loss`` and ``perplexity`` per token, and ``accuracy`` of the most likely one."""
        torch = require("torch", "train")
        total, right, of = [], [], []
        with torch.inference_mode():
            for part in batches(self.held_out, batch_size):
                batch = to_device(self.collate(part, tokens), reader)
                logits, labels = self._answers(reader, batch)
                total.append(torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none").cpu())
                right.append((logits.argmax(dim=-1) == labels).cpu())
                of.append((batch["labels"][:, 1:] != IGNORED).sum(dim=1).cpu())
        return per_token(torch.cat(total), torch.cat(right), torch.cat(of), self.held_out_clusters())
