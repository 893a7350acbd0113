"""Prefix tuning: learned keys and values that every layer attends to (Li and Liang 2021, arXiv:2101.00190)."""

import copy
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from kuapin.encoding.additions import Additions
from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.objective import Objective
from kuapin.finetuning.reader import Module, Reader, Tensor
from kuapin.finetuning.strategy import Strategy


class PrefixConfig(BaseModel):
    """Length of the prefix (strategy prefix)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(8, ge=1, le=512, description="Tokens that the prefix takes the place of.")


class Prefix(Strategy):
    """The prefix trains and nothing else; it lies beside the backbone's weights, which it cannot be folded into.

    An untrained prefix already moves the vectors: what training starts from is not the backbone.
    """

    name: ClassVar[str] = "prefix"
    mergeable: ClassVar[bool] = False

    def __init__(self, config: PrefixConfig | None = None) -> None:
        self.config = config or PrefixConfig()

    @property
    def positions(self) -> int:
        """Those of the prefix."""
        return self.config.size

    def open_up(self, reader: Reader, objective: type[Objective], total_steps: int) -> None:
        """Wrap the backbone.

        Raises:
            InputError: the backbone takes no keys and values from outside.
        """
        peft, said = require("peft", "train"), reader.config
        heads = getattr(said, "num_attention_heads", None)
        if heads is None or getattr(said, "num_key_value_heads", None) not in (None, heads):
            raise InputError(
                f"prefix: a {said.model_type} has heads of a kind that prefixes are not made for. Choose lora."
            )
        reader.backbone = peft.get_peft_model(
            reader.backbone,
            peft.PrefixTuningConfig(
                task_type="FEATURE_EXTRACTION",
                num_virtual_tokens=self.config.size,
                num_layers=said.num_hidden_layers,
                token_dim=reader.width,
                num_attention_heads=heads,
                num_transformer_submodules=1,
            ),
        )

    def merged(self, reader: Reader) -> Module:
        """The backbone as it was."""
        return copy.deepcopy(reader.backbone.get_base_model())

    def additions(self, reader: Reader) -> tuple[Additions, dict[str, Tensor]]:
        """The prefix, float32 (2 · layers, heads, n, head width)."""
        flat = reader.backbone.get_prompt_embedding_to_save("default")  # (n, 2 · layers · width)
        heads = reader.config.num_attention_heads
        layered = flat.view(self.config.size, -1, heads, reader.width // heads).permute(1, 2, 0, 3)
        return Additions(kind="prefix", size=self.config.size), {"prefix": layered.detach().contiguous()}
