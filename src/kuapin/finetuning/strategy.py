"""What a strategy is: which parameters may change, and how the change becomes part of the backbone."""

import copy
from typing import ClassVar

from kuapin.encoding.additions import Additions
from kuapin.finetuning.objective import Objective
from kuapin.finetuning.reader import Module, Reader, Tensor


class Strategy:
    """Decides what trains. Parameters that stay are frozen; what is new is put into the reader in place.

    Class flags:
        name: in configuration and on the command line.
        mergeable: whether the change can be folded into the backbone's own weights.
    """

    name: ClassVar[str]
    mergeable: ClassVar[bool] = True

    @property
    def positions(self) -> int:
        """Places of a text, in tokens, that the strategy takes for itself."""
        return 0

    def apply(self, reader: Reader, objective: type[Objective], total_steps: int) -> None:
        """Freeze and add; the head always trains.

        Args:
            reader: changed in place.
            objective: what will be optimised.
            total_steps: of the run, for schedules of the strategy's own.
        """
        freeze(reader.backbone)
        freeze(reader.projections)
        self.open_up(reader, objective, total_steps)
        shared = {id(parameter) for parameter in reader.backbone.parameters()}
        for parameter in reader.head.parameters():
            # The output layer of a language model is its embeddings: it trains if they do
            if id(parameter) not in shared:
                parameter.requires_grad_(True)  # noqa: FBT003 - torch's own signature

    def open_up(self, reader: Reader, objective: type[Objective], total_steps: int) -> None:
        """Let train what this strategy trains of the backbone, which is all frozen; nothing by default."""

    def penalty(self, reader: Reader) -> Tensor:
        """Added to the loss in training, a scalar."""
        return 0.0

    def after_step(self, reader: Reader, step: int) -> None:
        """Called after the optimiser's step number ``step``, from 1, while the gradients are still there."""

    def state(self, reader: Reader) -> dict[str, Tensor]:
        """What a checkpoint must hold beside the trained parameters, contiguous tensors."""
        return {}

    def load_state(self, reader: Reader, state: dict[str, Tensor]) -> None:
        """Take back what ``state`` gave."""

    def merged(self, reader: Reader) -> Module:
        """The backbone as a plain transformers model, the change folded in; the reader stays as it is."""
        return copy.deepcopy(reader.backbone)

    def additions(self, reader: Reader) -> tuple[Additions, dict[str, Tensor]] | None:
        """What lies beside the backbone's weights because it cannot be merged; ``None``: nothing."""
        return None


def freeze(module: Module) -> None:
    """No parameter of a module trains."""
    for parameter in module.parameters():
        parameter.requires_grad_(False)  # noqa: FBT003 - torch's own signature


def unfreeze(module: Module) -> None:
    """All parameters of a module train."""
    for parameter in module.parameters():
        parameter.requires_grad_(True)  # noqa: FBT003 - torch's own signature


def trainable(reader: Reader) -> dict[str, Tensor]:
    """Name → parameter of all that trains, each once."""
    return {name: parameter for name, parameter in reader.named_parameters() if parameter.requires_grad}
