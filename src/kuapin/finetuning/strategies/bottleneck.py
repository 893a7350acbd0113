"""Bottleneck adapters: two small matrices behind each sub-layer (Houlsby et al. 2019; Pfeiffer et al. 2020)."""

import copy
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from kuapin.encoding.additions import Additions, Placement, add_bottlenecks, without_bottlenecks
from kuapin.finetuning.objective import Objective
from kuapin.finetuning.reader import Module, Reader, Tensor
from kuapin.finetuning.strategy import Strategy


class BottleneckConfig(BaseModel):
    """Size and place of the adapters (strategy bottleneck)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    placement: Placement = Field(
        "houlsby", description="houlsby: behind attention and feed-forward; pfeiffer: behind the feed-forward alone."
    )
    size: int = Field(32, ge=1, le=8192, description="Width of the bottleneck.")


class Bottleneck(Strategy):
    """The adapters and nothing else train; being non-linear, they lie beside the backbone's weights."""

    name: ClassVar[str] = "bottleneck"
    mergeable: ClassVar[bool] = False

    def __init__(self, config: BottleneckConfig | None = None) -> None:
        self.config = config or BottleneckConfig()
        self._adapters: Any = None

    def open_up(self, reader: Reader, objective: type[Objective], total_steps: int) -> None:
        """Put them in."""
        self._adapters = add_bottlenecks(reader.backbone, self.config.placement, self.config.size)

    def merged(self, reader: Reader) -> Module:
        """The backbone as it was."""
        return without_bottlenecks(copy.deepcopy(reader.backbone))

    def additions(self, reader: Reader) -> tuple[Additions, dict[str, Tensor]]:
        """The adapters."""
        said = Additions(kind="bottleneck", placement=self.config.placement, size=self.config.size)
        return said, {name: tensor.contiguous() for name, tensor in self._adapters.state_dict().items()}
