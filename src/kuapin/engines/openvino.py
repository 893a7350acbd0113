"""Compiled graphs on Intel, AMD and ARM processors, without torch."""

from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from kuapin.engines.engine import EngineName, Inputs, Precision
from kuapin.errors import ModelFolderError

GRAPH = "graph.xml"
"""Name of a graph's file in its folder; the weights lie beside it in ``graph.bin``."""


class OpenVINOEngine:
    """An OpenVINO graph on the processor.

    Args:
        graph: the ``.xml`` file, its ``.bin`` beside it; or the contents of the two.
        precision: ``"f32"``; ``"bf16"`` (products rounded to bfloat16 where the processor can, else f32);
            ``"int8"`` for a graph that was quantised, whose other products run as in bf16.
        threads: of the processor; ``None``: all.

    Raises:
        ModelFolderError: the graph cannot be read.
    """

    name: EngineName = "openvino"

    def __init__(self, graph: Path | tuple[bytes, bytes], precision: Precision, threads: int | None = None) -> None:
        openvino = openvino_without_telemetry()
        self.precision: Precision = precision
        # The plug-in's own default is bfloat16 wherever the processor has it, so the precision is always said. One
        # stream with all threads: for batches of similar length it is as fast as several, in less memory.
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32" if precision == "f32" else "bf16",
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = str(threads)
        where = graph if isinstance(graph, Path) else "A graph of this release"
        try:
            core = openvino.Core()
            whole = graph if isinstance(graph, Path) else core.read_model(graph[0], graph[1])
            compiled = core.compile_model(whole, "CPU", settings)
        except RuntimeError as error:
            raise ModelFolderError(
                f"{where}: OpenVINO cannot read this graph ({_last_line(error)}). "
                "Delete its folder and run the step again."
            ) from error
        self._request = compiled.create_infer_request()

    def run(self, inputs: Inputs) -> NDArray[np.float32]:
        """The graph's first output for one batch, float32."""
        # Synchronous on purpose: an asynchronous request with shared inputs reads them after they were freed.
        self._request.infer(inputs, share_inputs=True)
        return np.array(self._request.get_output_tensor(0).data, dtype=np.float32)


class _Silent:
    """Takes the calls that OpenVINO's telemetry takes, and sends nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def _nothing(self, *_: object, **__: object) -> None:
        pass

    init = start_session = end_session = send_event = send_error = send_stack_trace = force_shutdown = _nothing


def openvino_without_telemetry() -> ModuleType:
    """The OpenVINO module, told to send nothing.

    Without a consent file, OpenVINO's converter and NNCF report their use to a server; both do it through the one
    class that is replaced here. Call this before NNCF is imported.
    """
    try:
        import openvino_telemetry  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        pass
    else:
        openvino_telemetry.Telemetry = _Silent
    import openvino

    return openvino  # type: ignore[no-any-return]


def capabilities() -> frozenset[str]:
    """What OpenVINO computes fast on this processor: some of ``FP32``, ``BF16``, ``FP16``, ``INT8``."""
    core = openvino_without_telemetry().Core()
    return frozenset(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
