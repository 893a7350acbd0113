"""Sources that score the groups of items, brands or leaf categories, and give every item the score of its group."""

from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.retrieval.members import members
from kuapin.retrieval.selection import pairs_of_sparse
from kuapin.retrieval.source import NewItems, Scores, Source


class ByGroup(Source):
    """Score of a group where the item has one, else 0."""

    cold_items = True
    personal = True
    by: ClassVar[Literal["leaf", "brand"]]

    @abstractmethod
    def of_groups(self, histories: Histories) -> sparse.csr_matrix:
        """The scores as a user × group float32 CSR matrix."""

    def keep_groups(self, group: NDArray[np.int32]) -> None:
        """Take the group of every item, int32 (n_items,), -1 where there is none."""
        self.group = group
        self.items_of = members(group)

    def with_items(self, new: NewItems) -> Self:
        """New items are in the groups that the catalogue says; a group that is new has no score yet."""
        other = copy(self)
        other.keep_groups(self.groups(new.catalogue))
        return other

    def groups(self, catalogue: Catalogue) -> NDArray[np.int32]:
        """The group of every item."""
        return catalogue.leaf if self.by == "leaf" else catalogue.brand

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Scores of the items' groups, float32 (n_users, n_items)."""
        group = self.group if items is None else self.group[items]
        found = np.asarray(self.of_groups(histories).toarray(), np.float32)
        return np.where(group >= 0, found[:, np.maximum(group, 0)], np.float32(0))

    def met(self, histories: Histories) -> Callable[[int], NDArray[np.int64]]:
        """How many distinct items of every group a user met, int64 (n_groups + 1,); in the last place: of none."""
        distinct, size = histories.distinct(), self.items_of.shape[1] + 1
        ends, group = distinct.indptr.tolist(), self.group[distinct.items] % size  # -1 becomes the last place
        return lambda user: np.bincount(group[ends[user] : ends[user + 1]], minlength=size)


def pairs_of_groups(of_groups: sparse.csr_matrix, indptr: NDArray[np.int64], group: NDArray[np.int32]) -> Scores:
    """Scores of user–group pairs out of a user × group matrix, 0 where the group is -1: float32 (n,)."""
    found = pairs_of_sparse(of_groups, indptr, np.maximum(group, 0).astype(np.int32))
    return np.where(group >= 0, found, np.float32(0))
