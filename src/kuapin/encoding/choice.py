"""Which engine and precision encode a shop's texts: what was asked for, else what the processor is good at."""

import platform
from dataclasses import dataclass
from importlib.util import find_spec

from kuapin.engines.engine import EngineName, Precision
from kuapin.engines.openvino import capabilities

FEWEST_CALIBRATION_TEXTS = 64
"""With fewer distinct texts, int8's ranges would be guesses: auto then keeps to bf16 or f32."""


@dataclass(frozen=True)
class Choice:
    """An engine, a precision, and why, in one sentence for people."""

    engine: EngineName
    precision: Precision
    reason: str


def choose(engine: str, precision: str, calibration_texts: int) -> Choice:
    """Settle what ``"auto"`` leaves open.

    The rule: OpenVINO. On x86-64, int8 (with VNNI or AMX it is about twice as fast as bf16, with AVX2 about twice as
    fast as f32); with fewer than ``FEWEST_CALIBRATION_TEXTS`` texts, bf16 where the processor computes it, else f32.
    On ARM, f32: int8 gains nothing there. ONNX Runtime and torch run f32 unless told otherwise.

    Args:
        engine: ``"auto"`` or an engine's name.
        precision: ``"auto"`` or a precision.
        calibration_texts: how many distinct texts there are to calibrate int8 with.
    """
    if engine == "auto":
        engine, why_engine = _engine()
    else:
        why_engine = f"{engine} was asked for"
    if precision == "auto":
        precision, why_precision = _precision(engine, calibration_texts)
    else:
        why_precision = f"{precision} was asked for"
    return Choice(engine, precision, f"{why_engine}; {why_precision}")  # type: ignore[arg-type]


def _engine() -> tuple[EngineName, str]:
    if find_spec("openvino") is not None:
        return "openvino", "openvino runs on this processor"
    return "onnx", "openvino is not installed, ONNX Runtime stands in"


def _precision(engine: str, calibration_texts: int) -> tuple[Precision, str]:
    if engine != "openvino":
        return "f32", f"f32 is the safe choice of {engine}"
    machine, can = platform.machine().lower(), capabilities()
    if machine not in ("x86_64", "amd64"):
        return "f32", f"f32, because int8 and bf16 are not faster on {machine}"
    if "INT8" in can and calibration_texts >= FEWEST_CALIBRATION_TEXTS:
        return "int8", "int8, the fastest that this x86-64 processor computes"
    few = f", because {calibration_texts} texts are too few to calibrate int8" if "INT8" in can else ""
    if "BF16" in can:
        return "bf16", f"bf16{few}"
    return "f32", f"f32{few}"
