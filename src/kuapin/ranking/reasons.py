"""Why a product is shown: the kind of evidence that speaks most for it, and the very item, brand or count behind it.

How much a signal speaks is what it adds to the ranker's sum (``Linear.contributions``). Evidence out of the history is
found by what its deletion would take away: the history item with the greatest share in the signal; of texts, the one
that reads most alike. A kind that names evidence is told only if taking it away is felt (``deletion.py``): the row
falls behind its neighbours, or its score falls at least twice as much as when as much other history is taken. Where
nothing is felt, the row says what needs no evidence.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.deletion import drops, places_lost
from kuapin.ranking.phrases import PHRASES, Language, Phrases
from kuapin.ranking.recommender import Ranked, Recommender
from kuapin.ranking.reranker import Reranked
from kuapin.ranking.routed import Routed, of_part
from kuapin.ranking.signals import TEXTS
from kuapin.retrieval.distinct import distinct_items, recent_items
from kuapin.retrieval.selection import pairs_of_sparse
from kuapin.retrieval.sources.affinity import LeafAffinity
from kuapin.retrieval.sources.content import Content
from kuapin.retrieval.sources.ease import Ease
from kuapin.retrieval.sources.graph import Graph
from kuapin.retrieval.sources.groups import members, pairs_of_groups
from kuapin.retrieval.sources.item_knn import ItemKnn

REPEAT, BRAND, SIMILAR, TOGETHER, CATEGORY, PATH, TASTE, POPULAR, NEW, RULE = CODES = (
    "repeat",
    "brand",
    "similar",
    "together",
    "category",
    "path",
    "taste",
    "popular",
    "new",
    "rule",
)
"""Reason codes: the user had it before; he met the brand; it reads like an item that he met; others met both; its shelf
is one of his or goes with one; a relation, or a thing that both have, leads to it from an item that he met; people of
like taste met it; many met it; nothing is known of it yet; a rule of the shop placed it."""
SPOKEN = CODES[:-1]
"""Those that the ranker's evidence gives."""

KIND_OF = {
    "repeat": REPEAT,
    "repeat_fading": REPEAT,
    "repeat_latest": REPEAT,
    "due": REPEAT,
    "brand": BRAND,
    "adapted": SIMILAR,
    "profile": SIMILAR,
    "lexical": SIMILAR,
    "item_knn": TOGETHER,
    "ease": TOGETHER,
    "leaf": CATEGORY,
    "leaf_affinity": CATEGORY,
    "graph": PATH,
    "segments": TASTE,
    "als": TASTE,
    "popularity": POPULAR,
    "popularity_30d": POPULAR,
    "popularity_decayed": POPULAR,
}
"""Signal → the kind of evidence it rests on; signals that are not here give no reason."""
Evidence = NDArray[np.int32]
Said = Iterable[tuple[str, Evidence]]
"""Of every row its sentence and the history items that it rests on."""
_NOTHING = np.empty(0, np.int32)
SHORTLIST = 3
"""Items of a history that are tried as the evidence of one row."""
LONGEST_TITLE = 80
"""Characters of a title in a sentence; what is longer is cut."""
READ_BACK = 100
"""Most recent distinct items of a history that evidence is looked for in."""
NAMING = (REPEAT, BRAND, SIMILAR, TOGETHER, CATEGORY, PATH)
"""Those that name something of the user's own history."""
MEASURED = (BRAND, SIMILAR, TOGETHER, CATEGORY, PATH)
"""Those of them that are told only if taking the evidence away is felt; what was met before needs no proof."""


@dataclass(frozen=True)
class Explained:
    """Why every row is shown.

    Attributes:
        codes: of ``CODES``.
        texts: sentences.
        evidence: of every row, int32 rows of the history items that it rests on; empty where it names none.
    """

    codes: list[str]
    texts: list[str]
    evidence: list[NDArray[np.int32]]


def explain_products(
    recommender: Recommender,
    catalogue: Catalogue,
    histories: Histories,
    ranked: Ranked,
    language: Language = "en",
) -> Explained:
    """Reason code, sentence and evidence of every row of ``ranked``, the lists of ``histories``."""
    say = PHRASES[language]
    if isinstance(recommender, Routed):
        n = len(ranked.found.items)
        said = Explained([""] * n, [""] * n, [_NOTHING] * n)
        served = [(recommender.default, catalogue, recommender.rest)]
        served += [(one.recommender, one.catalogue, one.items) for one in recommender.others]
        for part, its_catalogue, mask in served:
            places = np.flatnonzero(mask[ranked.found.items])
            if len(places) == 0:
                continue
            of = _explained(_Case(part, its_catalogue, histories, of_part(ranked, part, places), say))
            for place, code, text, items in zip(places.tolist(), of.codes, of.texts, of.evidence, strict=True):
                said.codes[place], said.texts[place], said.evidence[place] = code, text, items
    else:
        said = _explained(_Case(recommender, catalogue, histories, ranked, say))
    for place, rule in enumerate(ranked.by_rule if isinstance(ranked, Reranked) else ()):
        if rule is not None:
            said.codes[place], said.texts[place], said.evidence[place] = RULE, say.rule(rule), _NOTHING
    return said


def _explained(case: "_Case") -> Explained:
    said, own = case.evidence(), case.met()
    said[own] = -np.inf  # whatever else speaks for it: that it was met before is what a person knows of it
    said[own, CODES.index(REPEAT)] = 0.0
    told: dict[str, dict[int, tuple[str, Evidence]]] = {name: {} for name in MEASURED}
    waiting = np.flatnonzero(~own)
    while len(waiting):  # the loudest kind of every row, then the next where that was not felt
        kind = np.argmax(said[waiting], axis=1)
        again = []
        for name in MEASURED:
            number = CODES.index(name)
            rows = waiting[(kind == number) & np.isfinite(said[waiting, number])]
            if len(rows):
                told[name] |= dict(zip(rows.tolist(), _SENTENCES[name](case, rows), strict=True))
                unfelt = rows[~case.felt(rows, [told[name][row][1] for row in rows.tolist()])]
                said[unfelt, number] = -np.inf
                again.append(unfelt)
        waiting = np.concatenate([np.empty(0, np.intp), *again])
    said[np.isneginf(said.max(axis=1)), CODES.index(NEW)] = 0.0
    return _worded(case, np.argmax(said, axis=1), told)


def _worded(case: "_Case", kind: NDArray[np.intp], told: Mapping[str, Mapping[int, tuple[str, Evidence]]]) -> Explained:
    """The sentences of the chosen kinds; those of ``told`` are not made again."""
    codes = [CODES[k] for k in kind]
    texts, evidence = [""] * len(codes), [_NOTHING] * len(codes)
    for number, name in enumerate(SPOKEN):
        rows, known = np.flatnonzero(kind == number), told.get(name)
        if len(rows) == 0:
            continue
        made = (known[row] for row in rows.tolist()) if known is not None else _SENTENCES[name](case, rows)
        for row, (text, items) in zip(rows, made, strict=True):
            texts[row], evidence[row] = text, items
    return Explained(codes, texts, evidence)


@dataclass(frozen=True)
class _Case:
    """The rows to explain, with all that they rest on."""

    recommender: Recommender
    catalogue: Catalogue
    histories: Histories
    ranked: Ranked
    say: Phrases

    @property
    def items(self) -> NDArray[np.int32]:
        return self.ranked.found.items

    @property
    def users(self) -> NDArray[np.int64]:
        """History of every row."""
        return np.repeat(np.arange(len(self.histories), dtype=np.int64), np.diff(self.ranked.found.indptr))

    @property
    def met_by(self) -> NDArray[np.int64]:
        """How many people met the item of every row."""
        return self.recommender.signals.facts.users[self.items].astype(np.int64)

    def column(self, name: str) -> NDArray[np.float32]:
        """A feature of every row; 0 where the release does without it."""
        names = self.recommender.ranker.signals
        return self.ranked.features[:, names.index(name)] if name in names else np.zeros(len(self.items), np.float32)

    def met(self) -> NDArray[np.bool_]:
        """Whether the user met the item itself, for every row."""
        return pairs_of_sparse(self.histories.matrix(), self.ranked.found.indptr, self.items) > 0

    def others_of(self, group: NDArray[np.int32]) -> NDArray[np.int64]:
        """How many other items of the item's brand or leaf category (n_items,) the user met, for every row."""
        counts = self.histories.matrix() @ members(group)
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
        others = np.diff(self.histories.matrix().indptr)[self.users] - self.met()
        of_leaf = self.others_of(self.catalogue.leaf)
        there = {
            REPEAT: self.met(),
            BRAND: self.others_of(self.catalogue.brand) > 0,
            SIMILAR: (others > 0) & (TEXTS in self.recommender.signals.signals),
            TOGETHER: self.loudest(self.signals_of(TOGETHER)) >= 0,
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

        Of the ``SHORTLIST`` of greatest ``value(history, items)`` (h, i) it is the one whose deletion is felt most.
        """
        recent = recent_items(self.histories, READ_BACK)
        listed = np.full((len(rows), SHORTLIST), -1, np.int64)
        users = self.users[rows]
        for first, stop in zip(*_runs(users), strict=True):
            history, wanted = recent.of(int(users[first])), self.items[rows[first:stop]]
            if len(history) == 0:
                continue
            values = np.where(history[:, None] == wanted[None, :], -np.inf, value(history, wanted))
            best = np.argsort(-values, axis=0, kind="stable")[:SHORTLIST]
            known = np.isfinite(np.take_along_axis(values, best, axis=0))
            listed[first:stop, : len(best)] = np.where(known, history[best], -1).T
        several = np.flatnonzero(listed[:, 1] >= 0)
        if len(several):
            row, place = np.nonzero(listed[several] >= 0)
            gone = [np.array([item], np.int32) for item in listed[several][row, place]]
            felt = np.full(listed[several].shape, -np.inf)
            felt[row, place] = drops(self.recommender, self.histories, self.ranked, rows[several[row]], gone)
            listed[several, 0] = listed[several, np.argmax(felt, axis=1)]
        return listed[:, 0]

    def felt(self, rows: NDArray[np.intp], evidence: Sequence[Evidence]) -> NDArray[np.bool_]:
        """Whether taking the evidence away is felt: by a lower place, or twice as much as as much other history."""
        if len(rows) == 0:
            return np.zeros(0, np.bool_)
        met, others = self.histories.matrix(), []
        for row, items in zip(rows, evidence, strict=True):
            user = self.users[row]
            rest = np.setdiff1d(met.indices[met.indptr[user] : met.indptr[user + 1]], [*items, self.items[row]])
            rng = np.random.default_rng([int(self.items[row]), len(rest)])  # of the row alone: one user and many agree
            others.append(rng.permutation(rest)[: len(items)].astype(np.int32))
        both = drops(self.recommender, self.histories, self.ranked, np.tile(rows, 2), [*evidence, *others])
        drop, usual = np.split(both, 2)
        clear = (drop > 0) & (drop >= 2 * usual)
        rest = np.flatnonzero((drop > 0) & ~clear)
        clear[rest] = places_lost(
            self.recommender, self.histories, self.ranked, rows[rest], [evidence[k] for k in rest.tolist()]
        )
        return np.asarray(clear, np.bool_)

    def done(self, rows: NDArray[np.intp], items: NDArray[np.integer]) -> list[str]:
        """The event that the user of every row last did with an item of his history; empty where there is none."""
        met = distinct_items(self.histories)
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
        met = self.histories.matrix()
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


def _repeat(case: _Case, rows: NDArray[np.intp]) -> Said:
    done, counts = case.done(rows, case.items[rows]), np.zeros(len(rows), np.int64)
    events = np.array(c.EVENTS)[case.histories.events]
    for event in set(done):  # bought twice and looked at three times is bought twice
        matrix = case.histories.keep(events == event).matrix(binary=False)
        of_event = pairs_of_sparse(matrix, case.ranked.found.indptr, case.items)[rows]
        counts[np.array(done) == event] = of_event[np.array(done) == event]
    for row, event, n in zip(rows, done, counts.tolist(), strict=True):
        yield case.say.repeat(event, n), case.items[row : row + 1]


def _brand(case: _Case, rows: NDArray[np.intp]) -> Said:
    brand = case.catalogue.brand[case.items[rows]]
    met = case.others_of(case.catalogue.brand)[rows]
    evidence = case.own(rows, case.catalogue.brand, brand)
    for b, n, items in zip(brand, met.tolist(), evidence, strict=True):
        yield case.say.brand(case.catalogue.brands[b], n), items


def _similar(case: _Case, rows: NDArray[np.intp]) -> Said:
    source, found = case.recommender.signals.signals[TEXTS].source, np.full(len(rows), -1, np.int64)
    if isinstance(source, Content):
        vectors, text_of = source.vectors, source.text_of

        def cosine(history: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
            return np.asarray(vectors[text_of[history]] @ vectors[text_of[items]].T, np.float32)

        found = case.strongest(rows, cosine)
    return _with_item(case, rows, found, case.say.similar)


def _together(case: _Case, rows: NDArray[np.intp]) -> Said:
    names = case.signals_of(TOGETHER)
    loudest, evidence = case.loudest(names)[rows], np.full(len(rows), -1, np.int64)
    for number, name in enumerate(names):
        source, said = case.recommender.signals.signals[name].source, loudest == number
        if isinstance(source, ItemKnn | Ease):
            evidence[said] = case.strongest(rows[said], partial(_added, source))
    return _with_item(case, rows, evidence, case.say.together)


def _added(source: ItemKnn | Ease, history: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
    """What each item of a history adds, where it adds something: float32 (h, i), else -inf."""
    added = source.between(history, items)
    return np.where(added > 0, added, np.float32(-np.inf))


def _with_item(
    case: _Case, rows: NDArray[np.intp], evidence: NDArray[np.int64], say: Callable[[str | None, str], str]
) -> Said:
    names, done = case.names(np.maximum(evidence, 0)), case.done(rows, evidence)
    for item, name, event in zip(evidence.tolist(), names, done, strict=True):
        known = item >= 0
        yield say(name if known else None, event), np.array([item] if known else [], np.int32)


def _category(case: _Case, rows: NDArray[np.intp]) -> Said:
    group, leaves = case.catalogue.leaf, case.catalogue.leaves
    signal, beside = case.recommender.signals.signals.get("leaf_affinity"), np.full(len(rows), -1, np.int64)
    if signal is not None and isinstance(signal.source, LeafAffinity):
        lift, goes = signal.source.lift, case.column("leaf_affinity")[rows] > 0

        def affinity(history: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
            return np.asarray(lift[group[history]][:, group[items]].toarray(), np.float32)

        beside[goes] = case.strongest(rows[goes], affinity)
    own, counts = group[case.items[rows]], case.others_of(group)[rows].tolist()
    named = np.where((beside >= 0) & (group[np.maximum(beside, 0)] != own), group[np.maximum(beside, 0)], own)
    for leaf, other, n, items in zip(own, named, counts, case.own(rows, group, named), strict=True):
        yield case.say.category(leaves[leaf], leaves[other] if other != leaf else None, n), items


def _path(case: _Case, rows: NDArray[np.intp]) -> Said:
    source, found = case.recommender.signals.signals["graph"].source, np.full(len(rows), -1, np.int64)
    if isinstance(source, Graph):
        found = case.strongest(rows, source.near)
        names, done = case.names(np.maximum(found, 0)), case.done(rows, found)
        for row, item, name, event in zip(rows, found.tolist(), names, done, strict=True):
            way = source.knowledge.path(item, int(case.items[row])) if item >= 0 else None
            evidence = np.array([item] if item >= 0 else [], np.int32)
            kind, thing = way or (None, None)
            yield case.say.path(kind, thing, name if item >= 0 else None, event), evidence


def _taste(case: _Case, rows: NDArray[np.intp]) -> Said:
    return ((case.say.taste(), _NOTHING) for _ in rows)


def _popular(case: _Case, rows: NDArray[np.intp]) -> Said:
    return ((case.say.popular(n), _NOTHING) for n in case.met_by[rows].tolist())


def _new(case: _Case, rows: NDArray[np.intp]) -> Said:
    return ((case.say.new(), _NOTHING) for _ in rows)


_SENTENCES: dict[str, Callable[[_Case, NDArray[np.intp]], Said]] = {
    REPEAT: _repeat,
    BRAND: _brand,
    SIMILAR: _similar,
    TOGETHER: _together,
    CATEGORY: _category,
    PATH: _path,
    TASTE: _taste,
    POPULAR: _popular,
    NEW: _new,
}
