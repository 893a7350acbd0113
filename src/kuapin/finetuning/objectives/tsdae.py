"""TSDAE: a text written again from the vector of what is left of it (Wang et al. 2021, arXiv:2104.06979)."""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from kuapin.finetuning.decoder import new_decoder, targets, written
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Facts, Measured, Objective, losses
from kuapin.finetuning.objectives.masked_lm import require_texts
from kuapin.finetuning.reader import Module, Reader, Tensor, vector_width
from kuapin.finetuning.tokens import Batch, Tokens


class TSDAEConfig(BaseModel):
    """How much of a text is taken away before it is read (objective tsdae)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deleted: float = Field(0.6, ge=0, lt=1, description="Share of words taken away; one always stays.")
    held_out: float = Field(0.05, gt=0, lt=1, description="Share of texts that measure and do not train.")


class TSDAE(Objective):
    """L = −log p(text | vector of the text with words deleted), the decoder seeing the one vector and nothing else.

    The decoder is one layer with the backbone's embeddings, where the paper ties a whole decoder to the encoder.

    Args:
        config: how much is deleted.
        material: with at least two distinct texts.

    Raises:
        InputError: there are too few texts.
    """

    name: ClassVar[str] = "tsdae"
    tunes_vectors: ClassVar[bool] = True

    def __init__(self, config: TSDAEConfig, material: Material) -> None:
        self.config, self.seed = config, material.seed
        rows = material.text_rows()
        out = material.held_out_texts(rows, config.held_out)
        self.train = [(int(row), material.texts[row]) for row in rows[~out]]
        self.held_out = [(int(row), material.texts[row]) for row in rows[out]]
        self.titles = dict(zip(rows[out].tolist(), material.names(rows[out]), strict=True))
        require_texts(self.train, self.held_out, self.name)

    @classmethod
    def new_head(cls, reader: Reader, facts: Facts) -> Module:
        """The decoder."""
        width = vector_width(reader)
        return new_decoder(reader, width)

    def held_out_groups(self) -> Sequence[str]:
        """Their titles."""
        return [self.titles[row] for row, _ in self.held_out]

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """What is left of the texts, and the texts whole: ``target_ids`` and ``labels`` int64 (B, T)."""
        rng = self.batch_rng([row for row, _ in examples])
        left = []
        for _, text in examples:
            words, glue = _words(text)
            keep = rng.random(len(words)) >= self.config.deleted
            if len(words):
                keep[rng.integers(len(words))] = True
            left.append(glue.join(word for word, stays in zip(words, keep, strict=True) if stays))
        return tokens(left) | targets([text for _, text in examples], tokens)

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the tokens written."""
        vectors = reader.vectors(batch["input_ids"], batch["attention_mask"]).unsqueeze(1)  # (B, 1, d)
        seen = batch["attention_mask"][:, :1]
        logits = reader.head(reader.embeddings(), batch["target_ids"], vectors, seen)
        return written(logits, batch["labels"], self.label_smoothing if reader.training else 0.0)

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """``loss`` per token of the held-out texts, the same words deleted always."""
        return Measured({"loss": losses(self, reader, tokens, batch_size)})


def _words(text: str) -> tuple[list[str], str]:
    """The words of a text and what stands between them; the characters, where it is written without spaces."""
    words = text.split()
    return (words, " ") if len(words) > 2 or len(text) < 8 else (list(text), "")
