"""Graphs in ONNX format, run by ONNX Runtime: where OpenVINO has no wheel, and as a second opinion."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kuapin.engines.engine import EngineName, Inputs, Precision
from kuapin.errors import InputError, ModelFolderError
from kuapin.extras import require

GRAPH = "graph.onnx"
"""Name of a graph's file in its folder."""


class ONNXEngine:
    """An ONNX graph on the processor.

    Args:
        graph: the ``.onnx`` file.
        precision: ``"f32"``, or ``"int8"`` for a graph that was quantised.
        threads: of the processor; ``None``: all.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        InputError: bf16 is asked for, which ONNX Runtime does not do on processors.
        ModelFolderError: the graph cannot be read.
    """

    name: EngineName = "onnx"

    def __init__(self, graph: Path, precision: Precision, threads: int | None = None) -> None:
        if precision == "bf16":
            raise InputError("The engine onnx has no bf16 on processors. Set the precision to f32 or int8.")
        runtime = require("onnxruntime", "onnx")
        self.precision: Precision = precision
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = runtime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own errors share no narrower base
            raise ModelFolderError(
                f"{graph}: ONNX Runtime cannot read this graph ({str(error).splitlines()[0]}). "
                "Delete its folder and run the step again."
            ) from error
        self._inputs = {given.name for given in self._session.get_inputs()}

    def run(self, inputs: Inputs) -> NDArray[np.float32]:
        """The graph's first output for one batch, float32."""
        fed = {name: array for name, array in inputs.items() if name in self._inputs}
        return np.asarray(self._session.run(None, fed)[0], dtype=np.float32)
