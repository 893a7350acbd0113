"""A torch module as an engine: the reference that compiled graphs are compared with; needs the train extra."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kuapin.engines.engine import EngineName, Inputs, Precision
from kuapin.errors import InputError
from kuapin.extras import require


class TorchEngine:
    """A torch module on the processor, without gradients.

    Args:
        module: called with the inputs by name; returns one tensor.
        precision: ``"f32"`` or ``"bf16"`` (automatic mixed precision).

    Raises:
        MissingExtraError: torch is not installed.
        InputError: int8 is asked for.
    """

    name: EngineName = "torch"

    def __init__(self, module: Any, precision: Precision = "f32") -> None:
        if precision == "int8":
            raise InputError(
                "The engine torch has no int8. Set the engine to openvino or onnx, or the precision to bf16."
            )
        self._torch = require("torch", "train")
        self._module = module.eval()
        self.precision: Precision = precision

    def run(self, inputs: Inputs) -> NDArray[np.float32]:
        """The module's output for one batch, float32."""
        torch = self._torch
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            output: NDArray[np.float32] = self._module(**tensors).float().numpy()
        return output
