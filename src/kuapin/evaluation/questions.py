"""The test part of a split: who is asked, what they did before, and what they did then."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.errors import InputError


@dataclass(frozen=True)
class Questions:
    """Test users with their input and their answers; row ``j`` of each is the same user.

    Attributes:
        users: int32 (n,), their rows in the dataset, ascending.
        queries: n histories, the input.
        answers: n histories, each with at least one interaction, the output wanted.
    """

    users: NDArray[np.int32]
    queries: Histories
    answers: Histories

    def __len__(self) -> int:
        return len(self.users)

    def positions(self, of: "Questions") -> NDArray[np.int64]:
        """Where the users of ``of`` (a part of these) stand here: the rows to take of lists ranked for all."""
        return np.searchsorted(self.users, of.users)


def has_any(histories: Histories, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which users have an interaction where ``mask`` (n,) is true, bool (n_users,)."""
    return np.bincount(histories.users[mask], minlength=len(histories)) > 0


def draw(eligible: NDArray[np.bool_], lottery: NDArray[np.float64], n: int) -> NDArray[np.int32]:
    """The ``n`` eligible users with the lowest lot, as ascending rows.

    Every user has a lot (float64, one a user, all drawn at once), so that a user's luck does not depend on who else is
    eligible, and a smaller draw is a part of a greater one.
    """
    rows = np.flatnonzero(eligible)
    return np.sort(rows[np.argsort(lottery[rows], kind="stable")[:n]]).astype(np.int32)


def membership(users: NDArray[np.integer], n_users: int) -> NDArray[np.bool_]:
    """A bool mask (n_users,) that is true at ``users``."""
    mask = np.zeros(n_users, np.bool_)
    mask[users] = True
    return mask


def quantile_of_times(times: NDArray[np.int64], share: float) -> int:
    """The moment before which about ``share`` of the interactions lie; it does not depend on what they are about."""
    if len(times) == 0:
        raise InputError(
            "A point in time cannot be chosen: the log holds no interactions. Import some, or name the point."
        )
    return int(np.quantile(times, share, method="higher"))
