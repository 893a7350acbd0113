"""What a user model is judged by while it is trained."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories


@dataclass(frozen=True)
class Validation:
    """What a model is judged by after every pass.

    Attributes:
        queries: histories.
        answers: int32 (n,), an item that came next, not met before.
        items: int32, ascending rows that are ranked, answers among them; ``None``: all.
    """

    queries: Histories
    answers: NDArray[np.int32]
    items: NDArray[np.int32] | None = None


def nobody(histories: Histories) -> Validation:
    """No question about the items of a log."""
    return Validation(histories.select(np.empty(0, np.int64)), np.empty(0, np.int32))


def hold_out(histories: Histories, most: int, seed: int) -> tuple[Histories, Validation]:
    """Take the last interaction of some users out of a log: of those who have three and end with something new."""
    ends = histories.indptr[1:] - 1
    askable = np.flatnonzero(histories.lengths >= 3)
    asked = np.random.default_rng(seed).permutation(askable)
    new = [user for user in asked[: 4 * most] if histories.items[ends[user]] not in histories.of(user)[:-1]][:most]
    users = np.sort(np.array(new, np.int64))
    kept = np.ones(len(histories.items), np.bool_)
    kept[ends[users]] = False
    visible = histories.keep(kept)
    return visible, Validation(visible.select(users), histories.items[ends[users]])
