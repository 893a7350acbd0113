"""What one launch at one shot level under one seed gave."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.metrics.registry import PerUser


@dataclass(frozen=True)
class Cell:
    """Outcomes of one launch at one shot level under one seed.

    Attributes:
        shot: the level.
        seed: of the draw.
        users: int32 (n,), rows in the dataset of the test users.
        outcomes: method → outcome; each way to read frozen text is one method (``frozen text: TEMPLATE, POOLING``).
        seconds: training and ranking with ours.
    """

    shot: float
    seed: int
    users: NDArray[np.int32]
    outcomes: Mapping[str, PerUser]
    seconds: float
