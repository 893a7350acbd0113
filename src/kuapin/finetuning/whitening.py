"""A projection behind the pooling that whitens the vectors: in training from the first step on, and in what is saved.

Sentence vectors are far from isotropic (Su et al. 2021, "Whitening Sentence Representations"). A softmax over cosines
first undoes that, which a matrix in closed form does better. The projection begins as the whitening of the vectors that
training starts from, trains with the rest, and is fitted again to the tuned ones.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kuapin.extras import require
from kuapin.finetuning.objective import batches, to_device
from kuapin.finetuning.reader import Reader, vector_width
from kuapin.finetuning.tokens import Tokens
from kuapin.retrieval.whitening import SHRINKAGE, fit_whitening


class WhiteningConfig(BaseModel):
    """Whether the vectors are whitened by a projection that the new backbone keeps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool = Field(default=False, description="For objectives on the encoder's own vectors.")
    shrinkage: float = Field(
        SHRINKAGE, gt=0, description="In units of the mean variance; a great one leaves the vectors centred only."
    )
    texts: int = Field(16_384, ge=2, description="Texts that it is fitted on at most, drawn from the allowed items.")


def add_projection(reader: Reader) -> None:
    """Put a square projection behind the others, the identity until it is fitted."""
    torch = require("torch", "train")
    width = vector_width(reader)
    linear = torch.nn.Linear(width, width)
    with torch.no_grad():
        torch.nn.init.eye_(linear.weight)
        linear.bias.zero_()
    reader.projections.append(torch.nn.Sequential(linear, torch.nn.Identity()))


def fit_projection(reader: Reader, tokens: Tokens, texts: Sequence[str], shrinkage: float, batch_size: int) -> None:
    """Make the last projection the whitening of what comes into it, over some texts.

    Args:
        reader: with the projection; dropout is off meanwhile.
        tokens: of the backbone.
        texts: that the axes and variances are of.
        shrinkage: as in ``retrieval.whitening``.
        batch_size: texts at a time.
    """
    torch = require("torch", "train")
    last, was = reader.projections[-1], reader.training
    reader.eval()
    linear, before = last[0], reader.projections[:-1]
    with torch.inference_mode():
        reader.projections = before
        parts = [
            reader.pooled(**to_device(tokens(part), reader)).float().cpu()
            for part in batches(sorted(texts, key=len), batch_size)
        ]
    vectors = torch.cat(parts).numpy()
    weight, bias = np.zeros((vectors.shape[1],) * 2, np.float32), np.zeros(vectors.shape[1], np.float32)
    blocks = [reader.width] * (vectors.shape[1] // reader.width) if len(before) == 0 else [vectors.shape[1]]
    for start, size in zip(np.cumsum([0, *blocks]), blocks, strict=False):  # the two ends, each by itself
        place = slice(start, start + size)
        found = fit_whitening(vectors[:, place], shrinkage)
        mean, matrix = found.mean, found.axes
        length = float(np.linalg.norm((vectors[:, place] - mean) @ matrix, axis=1).mean()) * len(blocks) ** 0.5
        weight[place, place], bias[place] = matrix.T / length, -(mean @ matrix) / length
    with torch.no_grad():  # at mean length 1, so that gradients keep their scale
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(bias))
    before.append(last)
    reader.projections = before
    reader.train(was)
