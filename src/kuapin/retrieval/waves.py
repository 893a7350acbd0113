"""The best items of many users, scored a wave of items at a time: no matrix of all scores is held."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kuapin.retrieval.best import best_columns
from kuapin.retrieval.parallel import in_threads
from kuapin.retrieval.selection import Best
from kuapin.retrieval.source import Scores

MOST_USERS = 8_192
"""Users that are worked on at a time."""
WAVE_BYTES = 208 * 2**20
"""Size of the scores of a wave."""
LEAST_WAVE = 512
"""Items in a wave, at least."""


def best_in_waves(
    scored: Callable[[NDArray[np.integer]], Scores], wanted: NDArray[np.integer], n: int, floor: Scores
) -> list[Best]:
    """The best ``n`` places in ``wanted`` of every user, above his ``floor``, best first; ties go to the smaller place.

    Args:
        scored: the scores of some of ``wanted``, float32 (n_users, how many).
        wanted: what is scored.
        n: how many at most.
        floor: float32 (n_users,).
    """
    n_users = len(floor)
    worst = floor.copy()
    found: list[list[Best]] = [[(np.empty(0, np.intp), np.empty(0, np.float32))] for _ in range(n_users)]
    for wave in tiles(len(wanted), max(LEAST_WAVE, WAVE_BYTES // (4 * max(n_users, 1)))):
        scores = scored(wanted[wave])

        def keep(user: int, first: int = wave.start, scores: Scores = scores) -> None:
            columns = best_columns(scores[user], n, floor=worst[user])
            found[user].append((first + columns, scores[user, columns]))
            if len(columns) == n:  # just below, so that an equal score of a later wave still gets in
                worst[user] = max(worst[user], np.nextafter(found[user][-1][1][-1], np.float32(-np.inf)))

        in_threads(keep, range(n_users))
    return [_merged(parts, n) for parts in found]


def _merged(parts: list[Best], n: int) -> Best:
    places, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    best = best_columns(scores, n)
    return places[best], scores[best]


def tiles(n: int, width: int) -> list[slice]:
    """Cut 0 … n - 1 into runs of ``width``."""
    return [slice(start, min(start + width, n)) for start in range(0, n, width)]
