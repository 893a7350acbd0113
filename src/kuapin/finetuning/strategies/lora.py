"""LoRA: a low-rank change of every matrix (Hu et al. 2021, arXiv:2106.09685)."""

import copy
import re
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.objective import Objective
from kuapin.finetuning.reader import Module, Reader
from kuapin.finetuning.strategy import Strategy
from kuapin.names import offered

UNUSED = r".*pooler.*"
"""Modules that no objective reads, so that nothing is added to them."""


class LoRAConfig(BaseModel):
    """Size and place of the low-rank change (strategy lora)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(16, ge=1, le=1024, description="Rank of the change of a matrix.")
    alpha: float = Field(32.0, gt=0, description="The change is multiplied by alpha / rank.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout before the change.")
    targets: tuple[str, ...] = Field(
        (), description="Names of the linear layers that get one, such as query and value; empty: all of them."
    )


class LoRA(Strategy):
    """W + (alpha / rank) · B A, with B zero at first, so that training starts at the backbone."""

    name: ClassVar[str] = "lora"

    def __init__(self, config: LoRAConfig | None = None) -> None:
        self.config = config or LoRAConfig()

    def open_up(self, reader: Reader, objective: type[Objective], total_steps: int) -> None:
        """Wrap the linear layers.

        Raises:
            InputError: no layer has the name of a target.
        """
        peft = require("peft", "train")
        _check_targets(reader.backbone, self.config.targets)
        reader.backbone = peft.get_peft_model(
            reader.backbone,
            peft.LoraConfig(
                r=self.config.rank,
                lora_alpha=self.config.alpha,
                lora_dropout=self.config.dropout,
                target_modules=list(self.config.targets) or "all-linear",
                exclude_modules=UNUSED,
                bias="none",
            ),
        )

    def merged(self, reader: Reader) -> Module:
        """The matrices with their change added."""
        return copy.deepcopy(reader.backbone).merge_and_unload(safe_merge=True)


def _check_targets(backbone: Module, targets: tuple[str, ...]) -> None:
    """Raise ``InputError`` unless every target is the end of a linear layer's path."""
    torch, conv = require("torch", "train"), require("transformers.pytorch_utils", "train").Conv1D
    paths = [name for name, module in backbone.named_modules() if isinstance(module, (torch.nn.Linear, conv))]
    paths = [path for path in paths if not re.fullmatch(UNUSED, path)]
    for target in targets:
        if not any(f".{path}".endswith(f".{target}") for path in paths):
            names = sorted({path.rpartition(".")[2] for path in paths})
            raise InputError(
                f"lora.targets has {target!r}, and the backbone has no such linear layer. "
                + offered(target, names, "linear layers")
            )
