"""The rows that are explained, with all that they rest on: what speaks for each, and what is felt when it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.deletion import Losses, losses
from kuapin.ranking.phrases import Phrases
from kuapin.ranking.reason_kinds import (
    BRAND,
    CATEGORY,
    CODES,
    KIND_OF,
    LONGEST_TITLE,
    NEW,
    NEXT,
    PATH,
    POPULAR,
    READ_BACK,
    REPEAT,
    SHORTLIST,
    SIMILAR,
    SPOKEN,
    TASTE,
    TOGETHER,
    Evidence,
)
from kuapin.ranking.recommender import Ranked, Recommender
from kuapin.ranking.signals import TEXTS
from kuapin.retrieval.members import members
from kuapin.retrieval.recent import recent_items
from kuapin.retrieval.sources.groups import pairs_of_groups


@dataclass(frozen=True)
class Case:
    """The rows to explain, with all that they rest on."""

    recommender: Recommender
    catalogue: Catalogue
    histories: Histories
    ranked: Ranked
    say: Phrases

    @property
    def items(self) -> NDArray[np.int32]:
        """Item row of every row."""
        return self.ranked.found.items

    @cached_property
    def matrix(self) -> sparse.csr_matrix:
        """What every user met, true (users, n_items)."""
        return self.histories.matrix()

    @cached_property
    def recent(self) -> Histories:
        """The ``READ_BACK`` latest distinct items of every history."""
        return recent_items(self.histories, READ_BACK)

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """History of every row."""
        return np.repeat(np.arange(len(self.histories), dtype=np.int64), np.diff(self.ranked.found.indptr))

    @cached_property
    def met_by(self) -> NDArray[np.int64]:
        """How many people met the item of every row."""
        return self.recommender.signals.facts.users[self.items].astype(np.int64)

    def column(self, name: str) -> NDArray[np.float32]:
        """A feature of every row; 0 where the release does without it."""
        names = self.recommender.ranker.signals
        return self.ranked.features[:, names.index(name)] if name in names else np.zeros(len(self.items), np.float32)

    def met(self) -> NDArray[np.bool_]:
        """Whether the user met the item itself, for every row."""
        return self.histories.distinct().find(self.ranked.found.indptr, self.items) >= 0

    def had_before(self) -> NDArray[np.bool_]:
        """Whether the user met the item itself, and that adds to the sum, for every row: it would be 0 otherwise."""
        names, weight = self.recommender.ranker.signals, self.recommender.ranker.linear.weight
        columns = [names.index(name) for name in self.signals_of(REPEAT)]
        added = np.nan_to_num(self.ranked.features[:, columns]) @ weight[columns]
        return np.asarray(self.met() & (added > 0))

    def others_of(self, group: NDArray[np.int32]) -> NDArray[np.int64]:
        """How many other items of the item's brand or leaf category (n_items,) the user met, for every row."""
        counts = self.matrix @ members(group)
        own = group[self.items]
        return pairs_of_groups(counts, self.ranked.found.indptr, own).astype(np.int64) - (self.met() & (own >= 0))

    def signals_of(self, kind: str) -> list[str]:
        """The signals of a kind that the release reads."""
        return [name for name in self.recommender.signals.signals if KIND_OF.get(name) == kind]

    def loudest(self, names: list[str]) -> NDArray[np.intp]:
        """Which of some signals adds most to the sum for every row, of those above 0; -1: none is."""
        ranker = self.recommender.ranker
        parts = ranker.linear.contributions(self.ranked.features)
        said = [np.where(self.column(name) > 0, parts[:, ranker.signals.index(name)], -np.inf) for name in names]
        if not said:
            return np.full(len(self.items), -1)
        return np.where(np.isneginf(np.max(said, axis=0)), -1, np.argmax(said, axis=0))

    def evidence(self) -> NDArray[np.float64]:
        """What each of ``SPOKEN`` adds to the sum for every row, -inf where there is no evidence of it: (n, kinds)."""
        ranker = self.recommender.ranker
        parts = ranker.linear.contributions(self.ranked.features)
        said = np.zeros((len(self.items), len(SPOKEN)))
        heard = np.zeros(len(SPOKEN), np.bool_)
        for part, name in zip(parts.T, ranker.signals, strict=False):
            if name in KIND_OF:
                number = CODES.index(KIND_OF[name])
                said[:, number] += part
                heard[number] = True
        others = np.diff(self.matrix.indptr)[self.users] - self.met()
        of_leaf = self.others_of(self.catalogue.leaf)
        there = {
            REPEAT: self.met(),
            BRAND: self.others_of(self.catalogue.brand) > 0,
            SIMILAR: (others > 0) & (TEXTS in self.recommender.signals.signals),
            TOGETHER: self.loudest(self.signals_of(TOGETHER)) >= 0,
            NEXT: self.loudest(self.signals_of(NEXT)) >= 0,
            # a shelf that is most of the history tells this item from no other
            CATEGORY: (self.column("leaf_affinity") > 0) | ((of_leaf > 0) & (2 * of_leaf <= others)),
            PATH: (others > 0) & (self.column("graph") > 0),
            TASTE: (others > 0) & (self.met_by > 0),
            POPULAR: self.met_by > 0,
            NEW: self.met_by == 0,
        }
        for number, name in enumerate(SPOKEN):
            told = there[name] & (heard[number] | (name in (POPULAR, NEW)))
            said[:, number] = np.where(told, said[:, number], -np.inf)
        new = CODES.index(NEW)
        alone = np.isneginf(said[:, :new].max(axis=1))  # it is new is said where nothing else can be
        said[:, new] = np.where(there[NEW] | alone, np.where(alone, 0.0, -1e9), -np.inf)
        return said

    def strongest(
        self, rows: NDArray[np.intp], value: Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """The history item that speaks most for every row, itself left out; -1: none does.

        Of the ``shortlist`` it is the one whose deletion is felt most.
        """
        listed = self.shortlist(rows, value)
        several = np.flatnonzero(listed[:, 1] >= 0)
        if len(several):
            row, place = np.nonzero(listed[several] >= 0)
            gone = [np.array([item], np.int32) for item in listed[several][row, place]]
            felt = np.full(listed[several].shape, -np.inf)
            felt[row, place] = self.losses(rows[several[row]], gone).drop
            listed[several, 0] = listed[several, np.argmax(felt, axis=1)]
        return listed[:, 0]

    def shortlist(
        self, rows: NDArray[np.intp], value: Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """The ``SHORTLIST`` history items of greatest ``value(history, items)`` (h, i) of every row; then -1."""
        listed = np.full((len(rows), SHORTLIST), -1, np.int64)
        users = self.users[rows]
        for first, stop in zip(*_runs(users), strict=True):
            history, wanted = self.recent.of(int(users[first])), self.items[rows[first:stop]]
            if len(history) == 0:
                continue
            values = np.where(history[:, None] == wanted[None, :], -np.inf, value(history, wanted))
            best = np.argsort(-values, axis=0, kind="stable")[:SHORTLIST]
            known = np.isfinite(np.take_along_axis(values, best, axis=0))
            listed[first:stop, : len(best)] = np.where(known, history[best], -1).T
        return listed

    def felt(self, rows: NDArray[np.intp], evidence: Sequence[Evidence]) -> NDArray[np.bool_]:
        """Whether taking the evidence away is felt: by a lower place, or twice as much as as much other history."""
        if len(rows) == 0:
            return np.zeros(0, np.bool_)
        met, others = self.matrix, []
        for row, items in zip(rows, evidence, strict=True):
            user = self.users[row]
            rest = np.setdiff1d(met.indices[met.indptr[user] : met.indptr[user + 1]], [*items, self.items[row]])
            rng = np.random.default_rng([int(self.items[row]), len(rest)])  # of the row alone: one user and many agree
            others.append(rng.permutation(rest)[: len(items)].astype(np.int32))
        both = self.losses(np.tile(rows, 2), [*evidence, *others])
        drop, usual = np.split(both.drop, 2)
        return (drop > 0) & ((drop >= 2 * usual) | both.places[: len(rows)])

    def losses(self, rows: NDArray[np.intp], evidence: Sequence[Evidence]) -> Losses:
        """What rows lose when items are taken out of the history, see ``deletion.py``."""
        return losses(self.recommender, self.histories, self.ranked, rows, evidence)

    def done(self, rows: NDArray[np.intp], items: NDArray[np.integer]) -> list[str]:
        """The event that the user of every row last did with an item of his history; empty where there is none."""
        met = self.histories.distinct()
        events = self.histories.events[met.last].astype(np.float32) + 1
        table = sparse.csr_matrix((events, met.items, met.indptr), shape=(len(self.histories), self.histories.n_items))
        codes = np.asarray(table[self.users[rows], np.maximum(items, 0)]).ravel().astype(int) - 1
        return [c.EVENTS[code] if code >= 0 else "" for code in codes]

    def own(self, rows: NDArray[np.intp], group: NDArray[np.int32], wanted: NDArray[np.integer]) -> list[Evidence]:
        """The items of a group that the user of every row met, the row's own left out.

        Args:
            rows: of the lists.
            group: int32 (n_items,), group of every item.
            wanted: (len(rows),), the group looked for.
        """
        met = self.matrix
        found = []
        for row, code in zip(rows, wanted, strict=True):
            user = self.users[row]
            items = met.indices[met.indptr[user] : met.indptr[user + 1]]
            found.append(items[(group[items] == code) & (items != self.items[row])].astype(np.int32))
        return found

    def names(self, items: NDArray[np.integer]) -> list[str]:
        """Titles, or ids where there are none."""
        frame, ids = self.catalogue.frame, self.catalogue.items.take(items)
        if c.TITLE not in frame.columns:
            return ids.to_list()
        titles = frame[c.TITLE].gather(items).str.strip_chars()
        cut = titles.str.slice(0, LONGEST_TITLE).str.strip_chars_end() + "…"
        titles = pl.select(pl.when(titles.str.len_chars() > LONGEST_TITLE).then(cut).otherwise(titles)).to_series()
        return pl.select(pl.when(titles != "").then(titles).otherwise(ids)).to_series().fill_null(ids).to_list()


def _runs(users: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and end of every run of equal values."""
    first = np.flatnonzero(np.diff(users, prepend=-1))
    return first, np.append(first[1:], len(users))[: len(first)]
