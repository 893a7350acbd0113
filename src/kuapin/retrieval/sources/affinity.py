"""Shelf to shelf: who met this brand (or leaf category) met which others, counted over groups instead of items."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.retrieval.selection import pairs_by_user
from kuapin.retrieval.source import Arrays, NewItems, Scores, Visible, with_rows
from kuapin.retrieval.sources.groups import ByGroup
from kuapin.retrieval.sources.item_knn import blocks, pairs_of


class AffinityConfig(BaseModel):
    """How rare pairs of groups are damped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shrinkage: float = Field(3.0, gt=0, description="Users added to what was seen and to what chance lets expect.")
    max_pairs: int = Field(
        8_000_000,
        ge=1,
        description="Pairs of groups kept at most, 8 bytes each: those that are farthest from chance, either way.",
    )


class _Affinity(ByGroup):
    """Score = mean over the history's groups g of log((n(g, g') + s) / (n(g) · n(g') / n + s)), g' the item's group.

    n(g, g') users met both groups, n(g) the one, n users in all: a shrunk pointwise mutual information. A few hundred
    users say much about groups when they still say little about items. Groups of the same item (g = g') count as well.
    A pair that is not kept scores 0, as if by chance. Floor: 0.
    """

    def __init__(self, config: AffinityConfig | None = None) -> None:
        self.config = config or AffinityConfig()

    def fit(self, visible: Visible) -> Self:
        """Count the users of every pair of groups."""
        self.keep_groups(self.groups(visible.catalogue))
        met = (visible.histories.matrix() @ self.items_of).tocsr()
        met = met[np.diff(met.indptr) > 0]
        met.data[:] = 1.0
        users = np.asarray(met.sum(axis=0), np.float64).ravel()
        users_of = met.T.tocsr()
        kept: list[sparse.coo_matrix] = []
        for first, stop in blocks(pairs_of(met)):
            both = (users_of[first:stop] @ met).tocoo()
            chance = users[first + both.row] * users[both.col] / max(met.shape[0], 1)
            lift = np.log((both.data + self.config.shrinkage) / (chance + self.config.shrinkage)).astype(np.float32)
            block = sparse.coo_matrix((lift, (first + both.row, both.col)), shape=(len(users), len(users)))
            kept = [self._strongest([*kept, block])]
        lift = self._strongest(kept).tocsr() if kept else sparse.csr_matrix((len(users),) * 2, dtype=np.float32)
        self.lift = lift.multiply(lift.T != 0).tocsr()  # of a pair and its mirror both are kept, or neither
        return self

    def _strongest(self, parts: list[sparse.coo_matrix]) -> sparse.coo_matrix:
        """The pairs of all parts, or the ``max_pairs`` of them that are farthest from 0; ties: the first."""
        lift = np.concatenate([part.data for part in parts])
        rows, columns = (np.concatenate([part.coords[axis] for part in parts]) for axis in (0, 1))
        if len(lift) > self.config.max_pairs:
            best = np.sort(np.argsort(-np.abs(lift), kind="stable")[: self.config.max_pairs])
            lift, rows, columns = lift[best], rows[best], columns[best]
        return sparse.coo_matrix((lift, (rows, columns)), shape=parts[0].shape)

    def of_groups(self, histories: Histories) -> sparse.csr_matrix:
        """Mean lift between the history's groups and each group."""
        met = (histories.matrix() @ self.items_of).tocsr()
        total = np.maximum(np.asarray(met.sum(axis=1)).ravel(), 1.0)
        return (sparse.diags((1.0 / total).astype(np.float32)) @ met @ self.lift).tocsr()

    def with_items(self, new: NewItems) -> Self:
        """As for all groups; what is new goes with nothing yet."""
        other = super().with_items(new)
        size = other.items_of.shape[1]
        other.lift = with_rows(self.lift, size, size)
        return other

    def pairs(self, histories: Histories, indptr: NDArray[np.int64], items: NDArray[np.int32]) -> Scores:
        """Scores of given pairs, float32 (n,)."""
        met, ends, others, lift = self.met(histories), self.lift.indptr, self.lift.indices, self.lift.data

        def score(user: int, wanted: NDArray[np.int32]) -> Scores:
            # Lift is the same both ways: the rows of the groups that are wanted are read, not of all that were met
            weight = met(user)[:-1].astype(np.float32)
            weight /= max(weight.sum(), np.float32(1))
            groups, place = np.unique(self.group[wanted], return_inverse=True)
            rows = [slice(ends[group], ends[group + 1]) if group >= 0 else slice(0) for group in groups.tolist()]
            total = np.array([weight.take(others[row]) @ lift[row] for row in rows], np.float32)
            return total[place]

        return pairs_by_user(score, indptr, items)

    def arrays(self) -> Arrays:
        """`group` int32 (n_items,); the lift as CSR: `indptr`, `indices`, `values`."""
        lift = self.lift
        return {
            "group": self.group,
            "indptr": lift.indptr.astype(np.int64),
            "indices": lift.indices.astype(np.int32),
            "values": lift.data,
        }

    def restore(self, arrays: Arrays) -> Self:
        """Take `group` and the lift."""
        self.keep_groups(np.asarray(arrays["group"], np.int32))
        n = self.items_of.shape[1]
        self.lift = sparse.csr_matrix((arrays["values"], arrays["indices"], arrays["indptr"]), shape=(n, n))
        return self


class BrandAffinity(_Affinity):
    """Affinity between brands."""

    name = "brand_affinity"
    by = "brand"


class LeafAffinity(_Affinity):
    """Affinity between leaf categories."""

    name = "leaf_affinity"
    by = "leaf"
