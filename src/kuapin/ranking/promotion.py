"""Which items to promote first, so that what people do with them tells most about the rest of the category."""

import numpy as np
from numpy.typing import NDArray

from kuapin.retrieval.source import Scores

PROMOTED = 24
STAND_INS = 2_000
"""Items at most that stand for the category, drawn by the popularity that is expected of them."""


def most_telling(
    vectors: Scores,
    items: NDArray[np.integer],
    weight: NDArray[np.floating],
    allowed: NDArray[np.bool_],
    n: int = PROMOTED,
    seed: int = 0,
) -> NDArray[np.int32]:
    """The ``n`` items that together lie nearest to all that people are expected to want, the most telling first.

    Facility location: maximise Σ_i w_i max_{j chosen} max(cos(v_i, v_j), 0), i the items of the category, w_i how
    popular each is expected to be. What people do with an item is evidence of the items that read like it, and a second
    item alike adds little. The function is monotone and submodular, so that taking the best item one after the other is
    within 1 - 1/e of the best choice (Nemhauser, Wolsey and Fisher 1978; Krause and Golovin 2014).

    Args:
        vectors: float32 (n_items, d) of unit length.
        items: rows of the category.
        weight: (len(items),), ≥ 0, expected popularity; all 0 counts as all alike.
        allowed: bool (len(items),), which may be promoted.
        n: how many; fewer where fewer are allowed.
        seed: of the draw of the stand-ins.

    Returns:
        Rows, int32.
    """
    mass = np.asarray(weight, np.float64) if np.any(weight > 0) else np.ones(len(items))
    stand_ins = np.arange(len(items))
    if len(items) > STAND_INS:
        rng = np.random.default_rng(seed)
        stand_ins = rng.choice(len(items), STAND_INS, p=mass / mass.sum())
        mass = np.ones(len(items))  # drawn by their weight, each counts as one
    open_to = np.flatnonzero(allowed)
    alike = np.maximum(vectors[items[stand_ins]] @ vectors[items[open_to]].T, 0.0)
    counts = mass[stand_ins].astype(np.float32)
    covered = np.zeros(len(stand_ins), np.float32)
    chosen: list[int] = []
    for _ in range(min(n, len(open_to))):
        gain = counts @ np.maximum(alike - covered[:, None], 0.0)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        covered = np.maximum(covered, alike[:, best])
    return np.asarray(items[open_to[chosen]], np.int32)
