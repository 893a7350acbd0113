"""Small shops by hand."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_catalogue
from kuapin.data.histories import Histories, from_interactions
from kuapin.retrieval.source import Visible

DAY = 86_400


def histories_of(*users: str, n_items: int, timed: bool = True) -> Histories:
    """One string a user: the items `a`, `b`, … in the order met, one a day from day 0."""
    rows = [
        (user, ord(letter) - ord("a"), day) for user, letters in enumerate(users) for day, letter in enumerate(letters)
    ]
    user, item, day = np.array(rows, np.int64).reshape(-1, 3).T
    return from_interactions(
        user, item, day * DAY, np.zeros(len(user), np.uint8), n_users=len(users), n_items=n_items, timed=timed
    )


@pytest.fixture
def visible() -> Callable[..., Visible]:
    """What can be seen of a shop with the items `a`, `b`, … and these users."""

    def make(
        *users: str, n_items: int, vectors: np.ndarray | None = None, now: float = 0, timed: bool = True
    ) -> Visible:
        ids = [chr(ord("a") + i) for i in range(n_items)]
        histories = histories_of(*users, n_items=n_items, timed=timed)
        return Visible(build_catalogue(pl.DataFrame({"item_id": ids})), histories, vectors, int(now * DAY))

    return make


@pytest.fixture
def of() -> Callable[..., Histories]:
    """Histories from one string a user."""
    return histories_of


@pytest.fixture
def checkerboard(visible) -> Visible:
    """Ten users and ten items; user u met the items of his parity, but for item u: that is the right answer."""
    letters = "abcdefghij"
    users = ["".join(letters[i] for i in range(10) if i % 2 == u % 2 and i != u) for u in range(10)]
    return visible(*users, n_items=10)
