"""R-Drop: two readings of a batch under different dropout are to say the same (Liang et al. 2021, arXiv:2106.14448)."""

from typing import Literal

from kuapin.extras import require
from kuapin.finetuning.reader import Tensor


def disagreement(first: Tensor, second: Tensor, kind: Literal["softmax", "sigmoid"]) -> Tensor:
    """The mean over rows of ½ KL(p ‖ q) + ½ KL(q ‖ p), a scalar; over labels too where each is a yes or no.

    ½ KL(p ‖ q) + ½ KL(q ‖ p) = ½ Σ (p − q)(log p − log q).

    Args:
        first: logits float32 (n, labels).
        second: logits of the same rows.
        kind: how logits become probabilities.
    """
    functional = require("torch", "train").nn.functional
    if kind == "softmax":
        gap = first.softmax(dim=1) - second.softmax(dim=1)
        return 0.5 * (gap * (first.log_softmax(dim=1) - second.log_softmax(dim=1))).sum(dim=1).mean()
    gap = first.sigmoid() - second.sigmoid()
    yes = functional.logsigmoid(first) - functional.logsigmoid(second)
    no = functional.logsigmoid(-first) - functional.logsigmoid(-second)
    return 0.5 * (gap * (yes - no)).mean()
