"""The last layers train, the others are frozen."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from kuapin.encoding.additions import layers_of
from kuapin.errors import InputError
from kuapin.finetuning.objective import Objective
from kuapin.finetuning.reader import Reader
from kuapin.finetuning.strategy import Strategy, unfreeze


class TopLayersConfig(BaseModel):
    """How many layers train, counted from the top (strategy top-layers)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(2, ge=1, le=1000, description="Layers that train, counted from the output.")


class TopLayers(Strategy):
    """The top ``k`` layers, and the projections."""

    name: ClassVar[str] = "top-layers"

    def __init__(self, config: TopLayersConfig | None = None) -> None:
        self.config = config or TopLayersConfig()

    def open_up(self, reader: Reader, objective: type[Objective], total_steps: int) -> None:
        """Unfreeze them.

        Raises:
            InputError: there are fewer layers.
        """
        layers = layers_of(reader.backbone)
        if self.config.k > len(layers):
            raise InputError(
                f"top_layers.k is {self.config.k}; the backbone has {len(layers)} layers. Lower it to that at most."
            )
        for layer in layers[-self.config.k :]:
            unfreeze(layer)
        unfreeze(reader.projections)
