"""The logs of several shops as one, for a user model that reads texts alone and starts another."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.errors import InputError
from kuapin.sequence.item_representation import Vectors


class Log(NamedTuple):
    """What a user model learns from.

    Attributes:
        histories: of a shop's users.
        text: float32 (n_items, d), its text vectors, by the same language model in all shops.
        categories: int32 (n_items,).
        openings: int32 (n_items,), the groups whose openings are replayed.
    """

    histories: Histories
    text: Vectors
    categories: NDArray[np.int32]
    openings: NDArray[np.int32]


def joined(logs: Sequence[Log]) -> Log:
    """Several shops as one: users, items and categories one shop after the other, nobody known to be the same.

    Whiten the texts afterwards, by what is found on all of them, and train with ``ids = False``; with times only where
    all shops have times.

    Raises:
        InputError: there is no shop, or text vectors are of different lengths.
    """
    lengths = sorted({log.text.shape[1] for log in logs})
    if len(lengths) != 1:
        raise InputError(
            f"Shops are joined where one language model reads all; text vectors of lengths {lengths} came."
        )
    histories = [log.histories for log in logs]
    items = np.cumsum([0, *(one.n_items for one in histories)])
    users = np.cumsum([0, *(len(one.items) for one in histories)])
    whole = Histories(
        np.concatenate([[0], *(one.indptr[1:] + first for one, first in zip(histories, users[:-1], strict=True))]),
        np.concatenate([one.items + first for one, first in zip(histories, items[:-1], strict=True)]).astype(np.int32),
        np.concatenate([one.times for one in histories]),
        np.concatenate([one.events for one in histories]),
        int(items[-1]),
        timed=all(one.timed for one in histories),
    )
    categories, openings = ([getattr(log, name) for log in logs] for name in ("categories", "openings"))
    return Log(whole, np.concatenate([log.text for log in logs]), _apart(categories), _apart(openings))


def _apart(codes: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Codes one shop after the other, no two shops with the same."""
    first = np.cumsum([0, *(int(one.max(initial=-1)) + 1 for one in codes)])
    return np.concatenate([one + start for one, start in zip(codes, first[:-1], strict=True)]).astype(np.int32)
