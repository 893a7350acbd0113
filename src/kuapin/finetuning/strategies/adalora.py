"""AdaLoRA: low-rank changes whose ranks go where they matter most (Zhang et al. 2023, arXiv:2303.10512)."""

import copy
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from kuapin.errors import InputError
from kuapin.extras import require
from kuapin.finetuning.objective import Objective
from kuapin.finetuning.reader import Module, Reader, Tensor
from kuapin.finetuning.strategies.lora import UNUSED
from kuapin.finetuning.strategy import Strategy

_SCORES = ("ipt", "exp_avg_ipt", "exp_avg_unc")
_PATTERN, _RANKS = "pattern", "ranknum"


class AdaLoRAConfig(BaseModel):
    """Budget of ranks, and when it is spent (strategy adalora)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(8, ge=1, le=1024, description="Mean rank of a matrix's change at the end.")
    initial_rank: int = Field(12, ge=1, le=1024, description="Rank of every change at first.")
    alpha: float = Field(32.0, gt=0, description="The change is multiplied by alpha / rank.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout before the change.")
    start: float = Field(0.1, ge=0, lt=1, description="Share of the steps before ranks are taken away.")
    end: float = Field(0.3, ge=0, lt=1, description="Share of the steps at the end with the ranks as they are then.")
    every: int = Field(10, ge=1, description="Steps between two allocations.")
    orthogonality: float = Field(0.5, ge=0, description="Weight of ‖P Pᵀ − I‖ + ‖Qᵀ Q − I‖ in the loss.")


class AdaLoRA(Strategy):
    """W + (alpha / rank) · P Λ Q; entries of Λ with the least importance become 0 until the budget is met.

    P and Q start orthonormal, as the penalty wants them, and Λ at 0.
    """

    name: ClassVar[str] = "adalora"

    def __init__(self, config: AdaLoRAConfig | None = None) -> None:
        self.config = config or AdaLoRAConfig()

    def open_up(self, reader: Reader, objective: type[Objective], total_steps: int) -> None:
        """Wrap the linear layers; the schedule is that of the whole run.

        Raises:
            InputError: the shares leave no step for taking ranks away, or the first rank is below the last.
        """
        peft, config = require("peft", "train"), self.config
        first, last = int(config.start * total_steps), int(config.end * total_steps)
        if first + last >= total_steps:
            raise InputError(
                f"adalora: start ({config.start}) and end ({config.end}) leave none of {total_steps} steps for taking "
                "ranks away. Lower one of them, or train longer."
            )
        if config.initial_rank < config.rank:
            raise InputError(f"adalora: initial_rank ({config.initial_rank}) is below rank ({config.rank}). Raise it.")
        reader.backbone = peft.get_peft_model(
            reader.backbone,
            peft.AdaLoraConfig(
                target_r=config.rank,
                init_r=config.initial_rank,
                lora_alpha=config.alpha,
                lora_dropout=config.dropout,
                target_modules="all-linear",
                exclude_modules=UNUSED,
                total_step=total_steps,
                tinit=first,
                tfinal=last,
                deltaT=config.every,
                orth_reg_weight=config.orthogonality,
                bias="none",
            ),
        )

        # PEFT starts them at 0.02: so short that what Λ changes, and its gradient, is next to nothing for long
        for name, matrix in reader.backbone.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                require("torch", "train").nn.init.orthogonal_(matrix)

    def penalty(self, reader: Reader) -> Tensor:
        """The weighted mean over P and Q of ‖P Pᵀ − I‖ (equation 4; PEFT adds it to losses of its own models alone)."""
        torch = require("torch", "train")
        norms = []
        for name, matrix in reader.backbone.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                product = matrix @ matrix.T if "lora_A" in name else matrix.T @ matrix
                norms.append(torch.linalg.norm(product - torch.eye(len(product), device=product.device)))
        return self.config.orthogonality * torch.stack(norms).mean()

    def after_step(self, reader: Reader, step: int) -> None:
        """Score the entries by their gradients, and take the least important away."""
        reader.backbone.base_model.update_and_allocate(step)

    def state(self, reader: Reader) -> dict[str, Tensor]:
        """The scores so far, which entries are kept, and the ranks."""
        torch = require("torch", "train")
        allocator = reader.backbone.base_model.rankallocator
        out = {f"{kind}.{name}": score for kind in _SCORES for name, score in getattr(allocator, kind).items()}
        for name, kept in (self._peft_config(reader).rank_pattern or {}).items():
            out[f"{_PATTERN}.{name}"] = torch.tensor(kept, dtype=torch.bool).flatten()
        for name, rank in reader.backbone.named_parameters():
            if ".ranknum." in name:
                out[f"{_RANKS}.{name}"] = rank.detach()
        return {name: tensor.clone() for name, tensor in out.items()}

    def load_state(self, reader: Reader, state: dict[str, Tensor]) -> None:
        """Take them back."""
        allocator = reader.backbone.base_model.rankallocator
        places = {name: matrix.device for name, matrix in reader.backbone.base_model.model.named_parameters()}
        parts: dict[str, dict[str, Tensor]] = {kind: {} for kind in (*_SCORES, _PATTERN, _RANKS)}
        for name, tensor in state.items():
            kind, _, rest = name.partition(".")
            parts[kind][rest] = tensor
        for kind in _SCORES:
            setattr(allocator, kind, {name: score.to(places[name]) for name, score in parts[kind].items()})
        self._peft_config(reader).rank_pattern = {name: kept.tolist() for name, kept in parts[_PATTERN].items()} or None
        for name, rank in reader.backbone.named_parameters():
            if name in parts[_RANKS]:
                rank.data.copy_(parts[_RANKS][name])

    @staticmethod
    def _peft_config(reader: Reader) -> Any:
        return reader.backbone.peft_config["default"]

    def merged(self, reader: Reader) -> Module:
        """The matrices with their change added."""
        return copy.deepcopy(reader.backbone).merge_and_unload(safe_merge=True)
