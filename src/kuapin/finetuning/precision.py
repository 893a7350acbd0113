"""Whether training's products are rounded to bfloat16."""

from kuapin.device import training_device
from kuapin.engines.openvino import capabilities
from kuapin.extras import require
from kuapin.finetuning.reader import Reader

LEAST_WIDTH = 256
"""Narrower models train slower in bf16 on processors: what rounding costs is more than what its products save. MiniLM
(384) took 356 ms a step against 569, a model of 32 three times as long as in f32."""


def trains_in_bf16(precision: str, reader: Reader) -> bool:
    """What ``"auto"`` settles on: bf16 where the device computes it and the model is wide enough for it to pay."""
    if precision != "auto":
        return precision == "bf16"
    if training_device().type == "cuda":
        return bool(require("torch", "train").cuda.is_bf16_supported())
    return reader.width >= LEAST_WIDTH and "BF16" in capabilities()
