"""The backbone is frozen; what stands on it trains."""

import copy
from typing import ClassVar

from kuapin.extras import require
from kuapin.finetuning.objective import Objective
from kuapin.finetuning.reader import Reader, vector_width
from kuapin.finetuning.strategy import Strategy, unfreeze


class HeadOnly(Strategy):
    """The objective's head, and where the objective is on the vectors themselves, one more projection after pooling.

    The projection is a square matrix that starts as the identity, so that before the first step the encoder is the
    frozen one. It is saved as a sentence-transformers ``Dense`` module, which every engine can run.
    """

    name: ClassVar[str] = "head-only"

    def open_up(self, reader: Reader, objective: type[Objective], total_steps: int) -> None:
        """Add the projection where it is of use."""
        torch = require("torch", "train")
        if not objective.tunes_vectors:
            own = {id(parameter) for parameter in reader.backbone.parameters()}
            if all(id(parameter) in own for parameter in reader.head.parameters()):
                reader.head = copy.deepcopy(reader.head)  # an output layer that is the embeddings' becomes its own
            return
        width = vector_width(reader)
        linear = torch.nn.Linear(width, width)
        with torch.no_grad():
            torch.nn.init.eye_(linear.weight)
            linear.bias.zero_()
        reader.projections.append(torch.nn.Sequential(linear, torch.nn.Identity()))
        unfreeze(reader.projections[-1])
