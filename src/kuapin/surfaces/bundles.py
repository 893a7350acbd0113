"""The surface ``bundles``: items of other kinds that complete an item, a basket or a user's last one."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.completion import Completed, Completion
from kuapin.ranking.phrases import PHRASES, Language, Phrases
from kuapin.retrieval.knowledge import shared
from kuapin.retrieval.sources.affinity import LeafAffinity
from kuapin.retrieval.sources.complement import Complement
from kuapin.retrieval.sources.lift import Lift
from kuapin.surfaces.answer import Answer, Reasons, join

NAME = "bundles"
RELATED, OWN, TOGETHER, SHELVES, READS, POPULAR = CODES = (
    "related",
    "bought_before",
    "bought_together",
    "shelves_together",
    "texts_together",
    "popular",
)
"""Reason codes: a relation of the shop; else the kind of evidence that adds most to the ranker's sum."""
COMPLETES, REPLACES = ("compatible_with", "part_of", "accessory_of", "goes_with"), ("substitute_of",)
"""Relations between two items, read both ways: they complete each other, or the one will do for the other."""
SHARE = 50
"""A thing that more items have in common is no reason to buy them together."""
AGAIN = 5
"""So many places every further item of a kind waits in a set: the first five are nearly always of five kinds."""
LOOKED_AT = 10
"""So many times the items that are wanted are ranked, to find enough of other kinds."""
_COLUMNS = {
    OWN: ("own", "own_fading", "own_due"),
    TOGETHER: ("lift", "item_knn"),
    SHELVES: ("leaf_affinity", "leaf", "brand"),
    READS: ("complement", "profile", "lexical"),
    POPULAR: ("popularity", "popularity_decayed"),
}


@dataclass(frozen=True)
class Bundles:
    """Completes baskets with a set, not with near-copies.

    What shares its whole category path with an item of the basket could replace it rather than complete it, and comes
    only where nothing else is left; further items of one path wait ``AGAIN`` places each. A shop's own relations come
    first.

    Attributes:
        completion: of the live release.
        catalogue: that it was trained on.
        completes: item × item CSR, true where a relation says that the two go together.
        replaces: likewise, that one will do for the other.
    """

    completion: Completion
    catalogue: Catalogue
    completes: sparse.csr_matrix
    replaces: sparse.csr_matrix

    def complete(
        self,
        baskets: Histories,
        owners: Histories,
        n: int,
        items: NDArray[np.integer] | None = None,
        *,
        doubt: NDArray[np.floating] | None = None,
        explain: bool = False,
        language: Language = "en",
    ) -> Answer:
        """The ``n`` items that complete every basket, best first; fewer only where fewer are known of.

        Args:
            baskets: what lies in them.
            owners: what their owners did before; empty where nothing is known.
            n: items a basket.
            items: ascending rows of the items that may be shown; ``None``: all.
            doubt: (n_items,), what safety takes off an item's score, which no relation lifts then; ``None``: nothing.
            explain: whether every row gets its reason.
            language: of the reasons.
        """
        say = PHRASES[language] if explain else None
        less = np.zeros(len(self.catalogue)) if doubt is None else doubt
        done = self.completion.complete(baskets, owners, n * LOOKED_AT, items)
        may = np.ones(len(self.catalogue), np.bool_)
        if items is not None:
            may[:] = False
            may[items] = True
        each = range(len(baskets))
        return join([self._one(one, baskets.of(one), owners.of(one), done, n, may, less, say) for one in each])

    def _one(
        self,
        basket: int,
        inside: NDArray[np.int32],
        own: NDArray[np.int32],
        done: Completed,
        n: int,
        may: NDArray[np.bool_],
        less: NDArray[np.floating],
        say: Phrases | None,
    ) -> Answer:
        rows = np.arange(done.found.indptr[basket], done.found.indptr[basket + 1])
        related = self._linked(self.completes, inside, may)
        rows = rows[~np.isin(done.found.items[rows], related)]
        order = np.concatenate([related, done.found.items[rows]]).astype(np.int32)
        rows = np.concatenate([np.full(len(related), -1), rows])  # a relation needs no features
        scores = done.found.scores[rows]
        scores[rows < 0] = scores[rows >= 0].max(initial=0)
        scores = scores - less[order].astype(np.float32)
        best = np.argsort(-scores, kind="stable")
        order, rows, scores = order[best], rows[best], scores[best]
        place = self.as_set(inside, order, (rows < 0) & (less[order] == 0))[:n]
        reasons = None
        if say is not None:
            said = [self._reason(inside, own, int(order[one]), int(rows[one]), done, say) for one in place]
            reasons = Reasons([code for code, _ in said], [text for _, text in said])
        falling = np.minimum.accumulate(scores[place]) if len(place) else scores[:0]
        return Answer(np.full(len(place), basket, np.int64), order[place], falling, reasons)

    def as_set(
        self, inside: NDArray[np.int32], order: NDArray[np.int32], related: NDArray[np.bool_]
    ) -> NDArray[np.intp]:
        """Places of a ranking in the order in which a set takes them: other kinds, taking turns, then the basket's own.

        Args:
            inside: items of the basket.
            order: int32 (k,), ranked items.
            related: bool (k,), those that a relation names: they come first.
        """
        kinds = self.kinds[order]
        same = np.isin(kinds, self.kinds[inside])
        if len(inside):
            same |= np.asarray(self.replaces[inside].sum(axis=0)).ravel()[order] > 0
        level = np.where(related, 0, np.where(same, 2, 1))
        place = np.argsort(level, kind="stable")
        turn = np.arange(len(order)) + AGAIN * _earlier(kinds[place])
        return place[np.lexsort((turn, level[place]))]

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        """What kind every item is: its category path; an item without one is a kind of its own. int64 (n_items,)."""
        leaf = self.catalogue.leaf.astype(np.int64)
        nameless = np.array([name == c.NO_CATEGORY for name in self.catalogue.leaves], np.bool_)
        return np.where(nameless[leaf], -1 - np.arange(len(leaf)), leaf) if len(leaf) else leaf

    def _linked(self, links: sparse.csr_matrix, inside: NDArray[np.int32], may: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Items linked to one of the basket that may be shown, those with most links first."""
        if len(inside) == 0:
            return np.empty(0, np.int32)
        count = np.asarray(links[inside].sum(axis=0)).ravel() * may
        count[inside] = 0
        found = np.flatnonzero(count)
        return found[np.argsort(-count[found], kind="stable")].astype(np.int32)

    def _reason(
        self, inside: NDArray[np.int32], own: NDArray[np.int32], item: int, row: int, done: Completed, say: Phrases
    ) -> tuple[str, str]:
        if row < 0:
            with_ = next(one for one in inside if self.completes[one, item])
            return RELATED, say.goes_with(self.name(with_))
        kind = self._loudest(done.features[row])
        if kind == OWN:
            return OWN, say.repeat("purchase", int(np.count_nonzero(own == item)))
        if kind == TOGETHER:
            return TOGETHER, self._together(inside, item, say)
        if kind == SHELVES and len(inside):
            leaf, leaves = self.catalogue.leaf, self.catalogue.leaves
            lift = self._between("leaf_affinity", inside, item)
            return SHELVES, say.shelves(leaves[leaf[item]], leaves[leaf[inside[int(np.argmax(lift))]]])
        if kind == READS and len(inside):
            best = inside[int(np.argmax(self._between("complement", inside, item)))]
            return READS, say.reads_with(self.name(best))
        return POPULAR, say.baskets(int(self.completion.signals.facts.users[item]))

    def _loudest(self, features: NDArray[np.float32]) -> str:
        """The kind of evidence that adds most to the sum; of a basket of cold items, what the texts say."""
        ranker, names = self.completion.rankers["owned"], self.completion.names
        parts = dict(zip(names, ranker.linear.contributions(features[None])[0].tolist(), strict=False))
        there = {name: value > 0 for name, value in zip(names, features.tolist(), strict=True)}
        total = {
            kind: sum(parts.get(name, 0.0) for name in columns if there.get(name))
            for kind, columns in _COLUMNS.items()
            if any(there.get(name) for name in columns)
        }
        return max(total, key=lambda kind: total[kind]) if total else POPULAR

    def _together(self, inside: NDArray[np.int32], item: int, say: Phrases) -> str:
        lift = self._between("lift", inside, item)
        best = int(np.argmax(lift))
        told = lift[best] >= np.log(1.1)
        return say.bought_with(self.name(inside[best]), float(np.exp(lift[best])) if told else None)

    def _between(self, name: str, inside: NDArray[np.int32], item: int) -> NDArray[np.float32]:
        """What every item of the basket says for one item, float32 (len(inside),)."""
        source = self.completion.signals.signals[name].source if name in self.completion.signals.signals else None
        one = np.array([item])
        if isinstance(source, LeafAffinity):
            leaf = self.catalogue.leaf
            return np.asarray(source.lift[leaf[inside]][:, leaf[one]].toarray(), np.float32)[:, 0]
        if isinstance(source, Lift | Complement):
            return source.between(inside, one)[:, 0]
        return np.zeros(len(inside), np.float32)

    def name(self, item: int) -> str:
        """What people know an item by."""
        frame = self.catalogue.frame
        title = frame[c.TITLE][int(item)] if c.TITLE in frame.columns else None
        return str(title or self.catalogue.items.id(item))


def _earlier(values: NDArray[np.int64]) -> NDArray[np.intp]:
    """How many of the values before each are the same, (n,)."""
    order = np.argsort(values, kind="stable")
    first = np.searchsorted(values[order], values[order])
    count = np.empty(len(values), np.intp)
    count[order] = np.arange(len(values)) - first
    return count


def links_of(relations: pl.DataFrame, catalogue: Catalogue, names: tuple[str, ...]) -> sparse.csr_matrix:
    """Item × item CSR of some relations, both ways, and of two items that such a relation leads to the same thing.

    A thing is what is no item of the catalogue (a socket, a set); what more than ``SHARE`` items lead to links none.
    """
    table = relations.filter(pl.col(c.RELATION).is_in(names))
    head, tail = catalogue.items.rows(table[c.HEAD]), catalogue.items.rows(table[c.TAIL])
    known = (head >= 0) & (tail >= 0) & (head != tail)
    one, other = np.concatenate([head[known], tail[known]]), np.concatenate([tail[known], head[known]])
    links = sparse.csr_matrix((np.ones(len(one), np.int32), (one, other)), shape=(len(catalogue),) * 2)
    links.sum_duplicates()
    return (links + shared(relations, catalogue, names, SHARE)).tocsr()
