"""Which texts show int8 the range of its activations."""

from collections.abc import Sequence

import numpy as np

CALIBRATION_SAMPLES = 300


def calibration_sample(texts: Sequence[str], n: int = CALIBRATION_SAMPLES) -> list[str]:
    """At most ``n`` distinct texts, spread evenly over their lengths; the order of ``texts`` does not matter."""
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    if len(distinct) <= n:
        return distinct
    return [distinct[row] for row in np.linspace(0, len(distinct) - 1, n).round().astype(int)]
