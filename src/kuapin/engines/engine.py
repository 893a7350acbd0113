"""What runs a graph: named arrays in, one array out. Knows nothing of texts or histories."""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Inputs = dict[str, NDArray[np.generic]]
"""Named input arrays of one batch; the names and dtypes are the graph's."""

EngineName = Literal["openvino", "onnx", "torch"]
Precision = Literal["f32", "bf16", "int8"]


class Engine(Protocol):
    """A graph that is ready to run.

    Attributes:
        name: which library runs it.
        precision: that of the matrix products; the output is float32 always.
    """

    name: EngineName
    precision: Precision

    def run(self, inputs: Inputs) -> NDArray[np.float32]:
        """The graph's first output for one batch, float32; its first axis is the batch."""
