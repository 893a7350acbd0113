"""A list that is not all of one kind: caps and floors per category, brand and leaf, and the dial towards discovery."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class DiversityConfig(BaseModel):
    """How lists are spread over categories and brands, and how much they leave what a person knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    discovery: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="From -1, more of the same, over 0, the ranker's order, to 1, what is least like the rest of the "
        "list and the history (maximal marginal relevance).",
    )
    per_category: int | None = Field(None, ge=1, description="Items of one top-level category at most.")
    per_brand: int | None = Field(None, ge=1, description="Items of one brand at most.")
    per_leaf: int | None = Field(None, ge=1, description="Items of one leaf category at most.")
    categories: int | None = Field(None, ge=1, description="Different top-level categories at least.")
    brands: int | None = Field(None, ge=1, description="Different brands at least.")
    leaves: int | None = Field(None, ge=1, description="Different leaf categories at least.")

    @property
    def idle(self) -> bool:
        """Whether the ranker's order is left as it is, but for the cap on categories."""
        wanted = (self.per_brand, self.per_leaf, self.categories, self.brands, self.leaves)
        return self.discovery == 0 and all(one is None for one in wanted)


def within_cap(
    order: NDArray[np.intp],
    users: NDArray[np.integer],
    category: NDArray[np.integer],
    n: int,
    per_category: int | None,
) -> NDArray[np.intp]:
    """The first ``n`` candidates of every user, of which at most ``per_category`` are of one category.

    Candidates above the cap come after all others, so that a list is shorter than ``n`` only where a user has fewer
    candidates; what is kept stays in the given order.

    Args:
        order: (k,), places of the candidates, user by user, best first.
        users: (k,), user of every candidate, by place.
        category: (k,), top-level category of every candidate, by place.
        n: length of the lists.
        per_category: ``None``: no cap.

    Returns:
        Places of the kept candidates, user by user, in the given order.
    """
    if per_category is not None:
        over = occurrence(users[order], category[order]) >= per_category
        chosen = order[np.lexsort((over, users[order]))]  # stable: the order stays within both parts
        keep = np.zeros(len(order), np.bool_)
        keep[chosen[occurrence(users[chosen]) < n]] = True
        return order[keep[order]]
    return order[occurrence(users[order]) < n]


def room(indptr: NDArray[np.int64], category: NDArray[np.integer], per_category: int | None) -> NDArray[np.int64]:
    """How many candidates every user can be shown together under the cap, int64 (n_users,).

    Args:
        indptr: int64 (n_users + 1,), the users' slices of the candidates.
        category: (k,), top-level category of every candidate.
        per_category: ``None``: no cap.
    """
    if per_category is None:
        return np.diff(indptr)
    users = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return np.bincount(users[occurrence(users, category) < per_category], minlength=len(indptr) - 1)


def occurrence(*keys: NDArray[np.integer]) -> NDArray[np.int64]:
    """How many rows before it have the same keys, int64 (k,)."""
    by_group = np.lexsort(tuple(reversed(keys)))
    first = np.ones(len(by_group), np.bool_)
    if len(by_group) > 1:
        first[1:] = np.any([key[by_group][1:] != key[by_group][:-1] for key in keys], axis=0)
    place = np.arange(len(by_group))
    counted = np.empty(len(by_group), np.int64)
    counted[by_group] = place - np.maximum.accumulate(np.where(first, place, 0))
    return counted
