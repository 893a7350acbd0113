"""Where models are trained: on torch's GPU where there is one, else on the processor."""

from typing import Any

from kuapin.extras import require


def training_device() -> Any:
    """The torch device."""
    torch = require("torch", "train")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
