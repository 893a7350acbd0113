"""SimCSE: a text read twice under different dropout is one text (Gao et al. 2021, arXiv:2104.08821)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kuapin.extras import require
from kuapin.finetuning.contrast import in_batch_softmax
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Measured, Objective, losses, unit_vectors
from kuapin.finetuning.objectives.masked_lm import require_texts
from kuapin.finetuning.reader import Reader, Tensor
from kuapin.finetuning.tokens import Batch, Tokens


class SimCSEConfig(BaseModel):
    """How sharply a text is told from the others of its batch (objective simcse)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(0.05, gt=0, le=10, description="Of the softmax over cosines.")
    held_out: float = Field(0.05, gt=0, lt=1, description="Share of texts that measure and do not train.")


class SimCSE(Objective):
    """L = −log softmax_j (cos(h_i, h'_j) / τ) at j = i, h and h' the vectors of one text under two draws of dropout.

    Args:
        config: the temperature.
        material: with at least two distinct texts.

    Raises:
        InputError: there are too few texts.
    """

    name: ClassVar[str] = "simcse"
    tunes_vectors: ClassVar[bool] = True

    def __init__(self, config: SimCSEConfig, material: Material) -> None:
        self.config, self.seed = config, material.seed
        rows = material.text_rows()
        out = material.held_out_texts(rows, config.held_out)
        self.train = [material.texts[row] for row in rows[~out]]
        self.held_out = [material.texts[row] for row in rows[out]]
        self.titles = dict(zip(self.held_out, material.names(rows[out]), strict=True))
        require_texts(self.train, self.held_out, self.name)

    def held_out_groups(self) -> Sequence[str]:
        """Their titles."""
        return [self.titles[text] for text in self.held_out]

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """Tokens; the texts are distinct, so that nothing is masked."""
        return tokens(examples)

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the batch; both readings go through the model in one."""
        twice = {name: tensor.repeat(2, 1) for name, tensor in batch.items()}
        vectors = reader.vectors(**twice)
        n = len(vectors) // 2
        smoothing = self.label_smoothing if reader.training else 0.0
        return in_batch_softmax(vectors[:n], vectors[n:], self.config.temperature, smoothing=smoothing).mean()

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """``loss`` under a fixed draw of dropout; ``uniformity`` log mean exp(−2 ‖x − y‖²), lower is more spread out.

        Uniformity is that of Wang and Isola 2020 (arXiv:2005.10242), without dropout.
        """
        torch = require("torch", "train")
        was = reader.training
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            reader.train()
            loss = losses(self, reader, tokens, batch_size)
        reader.eval()
        vectors = unit_vectors(reader, tokens, self.held_out, batch_size).numpy()
        reader.train(was)
        squared = 2 - 2 * (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
        uniformity = float(np.log(np.exp(-2 * squared).mean())) if len(squared) else float("nan")
        return Measured({"loss": loss, "uniformity": uniformity})
