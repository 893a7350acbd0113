"""Every parameter trains."""

from typing import ClassVar

from kuapin.finetuning.objective import Objective
from kuapin.finetuning.reader import Reader
from kuapin.finetuning.strategy import Strategy, unfreeze


class Full(Strategy):
    """Nothing is frozen: the most to learn with, and the most to forget."""

    name: ClassVar[str] = "full"

    def open_up(self, reader: Reader, objective: type[Objective], total_steps: int) -> None:
        """Unfreeze all."""
        unfreeze(reader.backbone)
        unfreeze(reader.projections)
