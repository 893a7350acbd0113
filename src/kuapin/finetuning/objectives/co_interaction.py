"""Two items of one history belong together: a two-tower softmax over the items of a batch."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.contrast import found_again, in_batch_softmax
from kuapin.finetuning.material import Material
from kuapin.finetuning.objective import Measured, Objective, unit_vectors
from kuapin.finetuning.pairs import drawn_pairs, shelf_negatives
from kuapin.finetuning.reader import Reader, Tensor
from kuapin.finetuning.tokens import Batch, Tokens

HELD_OUT_PAIRS = 512
"""At most so many pairs are measured; each is found among the second items of all of them."""


class CoInteractionConfig(BaseModel):
    """Which items of a history are put together, and how sharply they are told from others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(0.05, gt=0, le=10, description="Of the softmax over cosines; small is sharp.")
    window: int = Field(20, ge=1, description="Greatest distance of two items in a history, in interactions.")
    pairs_per_user: int = Field(
        20, ge=1, le=10_000, description="Pairs drawn from one history at most, so that long ones do not rule."
    )
    across: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of pairs from two different shelves (category paths), where the log has enough of them.",
    )
    correction: bool = Field(
        default=True, description="Correct the softmax for how often an item is drawn (log q), else popular ones sink."
    )
    hard_negatives: int = Field(
        0,
        ge=0,
        le=16,
        description="Items of the second one's own shelf, not in the history, that each pair is told from.",
    )
    held_out: float = Field(0.05, gt=0, lt=1, description="Share of users whose pairs measure and do not train.")


class CoInteraction(Objective):
    """L = −log softmax_j (cos(a, b_j) / τ − log q_j) at the right b, over the seconds of the batch.

    Masked are seconds and hard negatives that have the text of the row's own first or second. Both orders of a pair
    are drawn.

    Args:
        config: of the pairs and the softmax.
        material: with at least one history of two items with different texts.

    Raises:
        InputError: there are no such pairs.
    """

    name: ClassVar[str] = "co-interaction"
    metric: ClassVar[str] = "mrr"
    greater_is_better: ClassVar[bool] = True
    tunes_vectors: ClassVar[bool] = True

    def __init__(self, config: CoInteractionConfig, material: Material) -> None:
        self.config, self.seed, self.texts = config, material.seed, material.texts
        pairs = drawn_pairs(
            material,
            window=config.window,
            per_user=config.pairs_per_user,
            across=config.across,
            allowed=material.allowed,
        )
        out = material.held_out_users(config.held_out)[pairs.users]
        train, held_out = pairs.take(~out), pairs.take(out)
        if len(train.users) < 2 or len(held_out.users) < 2:
            raise InputError(
                f"co-interaction needs users who met two items with different texts; pairs of {len(set(pairs.users))} "
                "users were found. Import more log, or choose masked-lm or simcse, which need texts alone."
            )
        negatives = shelf_negatives(material, train, config.hard_negatives)  # (n, m)
        self.train = list(zip(train.first, train.second, negatives, strict=True))
        kept = material.rng("measured").permutation(len(held_out.users))[:HELD_OUT_PAIRS]
        self.held_out = list(zip(held_out.first[kept], held_out.second[kept], strict=True))
        self.held_out_users = held_out.users[kept]
        self.text_code = material.text_codes
        self.log_q = _log_shares(self.text_code[train.second], int(self.text_code.max()) + 1)

    def held_out_groups(self) -> Sequence[int]:
        """Their users."""
        return [int(user) for user in self.held_out_users]

    def measuring(self, part: NDArray[np.intp]) -> Self:
        """With their users."""
        one = super().measuring(part)
        one.held_out_users = self.held_out_users[part]
        return one

    def collate(self, examples: Sequence[Any], tokens: Tokens) -> Batch:
        """First and second texts, hard negatives behind them; which columns are masked; log q."""
        torch = require("torch", "train")
        first = np.array([example[0] for example in examples])
        second = np.array([example[1] for example in examples])
        hard = np.array([example[2] if len(example) > 2 else () for example in examples], dtype=np.int64)  # (n, m)
        code_a, code_b, code_hard = (self.text_code[rows] for rows in (first, second, hard))
        own = np.stack([code_a, code_b], axis=1)  # (n, 2)
        rows = [*first, *second, *hard.ravel()]
        return tokens([self.texts[row] for row in rows]) | {
            "masked": torch.from_numpy((own[:, :, None] == code_b).any(axis=1)),
            "hard_masked": torch.from_numpy((own[:, :, None] == code_hard[:, None, :]).any(axis=1)),
            "log_q": torch.from_numpy(self.log_q[code_b]),
        }

    def loss(self, reader: Reader, batch: Batch) -> Tensor:
        """The mean over the batch."""
        n = len(batch["log_q"])
        vectors = reader.vectors(batch["input_ids"], batch["attention_mask"])
        hard = vectors[2 * n :].view(n, -1, vectors.shape[-1]) if len(vectors) > 2 * n else None
        return in_batch_softmax(
            vectors[:n],
            vectors[n : 2 * n],
            self.config.temperature,
            log_q=batch["log_q"] if self.config.correction else None,
            masked=batch["masked"],
            hard=hard,
            hard_masked=batch["hard_masked"],
            smoothing=self.label_smoothing if reader.training else 0.0,
        ).mean()

    def measure(self, reader: Reader, tokens: Tokens, batch_size: int) -> Measured:
        """How well the second of a pair is found from the first (``contrast.found_again``)."""
        first, second = (
            unit_vectors(reader, tokens, [self.texts[pair[side]] for pair in self.held_out], batch_size)
            for side in (0, 1)
        )
        codes = self.text_code[np.array(self.held_out)]  # (n, 2)
        return found_again(first, second, codes[:, 0], codes[:, 1], self.held_out_users, self.config.temperature)


def _log_shares(codes: NDArray[np.int64], n: int) -> NDArray[np.float32]:
    """Log of the share that each of ``n`` codes has, float32 (n,); what never came counts as one occurrence."""
    counts = np.maximum(np.bincount(codes, minlength=n), 1)
    return np.log(counts / max(len(codes), 1)).astype(np.float32)
