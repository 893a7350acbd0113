"""Why a product is shown: the kind of evidence that speaks most for it, and the very item, brand or count behind it.

How much a signal speaks is what it adds to the ranker's sum (``Linear.contributions``). Evidence out of the history is
found by what its deletion would take away: the history item with the greatest share in the signal; of texts, the one
that reads most alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.recommender import Ranked, Recommender
from kuapin.ranking.reranker import Reranked
from kuapin.ranking.routed import Routed, of_part
from kuapin.ranking.signals import TEXTS
from kuapin.retrieval.distinct import distinct_items, recent_items
from kuapin.retrieval.selection import pairs_of_sparse
from kuapin.retrieval.sources.affinity import LeafAffinity
from kuapin.retrieval.sources.content import Content
from kuapin.retrieval.sources.ease import Ease
from kuapin.retrieval.sources.groups import members, pairs_of_groups
from kuapin.retrieval.sources.item_knn import ItemKnn

REPEAT, BRAND, SIMILAR, TOGETHER, CATEGORY, TASTE, POPULAR, NEW, RULE = CODES = (
    "repeat",
    "brand",
    "similar",
    "together",
    "category",
    "taste",
    "popular",
    "new",
    "rule",
)
"""Reason codes: the user had it before; he met the brand; it reads like an item that he met; others met both; its shelf
is one of his or goes with one; people of like taste met it; many met it; nothing is known of it yet; a
rule of the shop placed it."""
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
    "segments": TASTE,
    "als": TASTE,
    "popularity": POPULAR,
    "popularity_30d": POPULAR,
    "popularity_decayed": POPULAR,
}
"""Signal → the kind of evidence it rests on; signals that are not here give no reason."""
READ_BACK = 100
"""Most recent distinct items of a history that evidence is looked for in."""
DONE = {
    "view": "viewed",
    "click": "clicked on",
    "cart": "added to the cart",
    "purchase": "bought",
    "favourite": "marked",
    "share": "shared",
    "rating": "rated",
    "review": "reviewed",
    "redeem": "redeemed",
}


def explain_products(
    recommender: Recommender, catalogue: Catalogue, histories: Histories, ranked: Ranked
) -> tuple[list[str], list[str]]:
    """Reason code and sentence of every row of ``ranked``, the lists of ``histories``."""
    if isinstance(recommender, Routed):
        codes, texts = [""] * len(ranked.found.items), [""] * len(ranked.found.items)
        served = [(recommender.default, catalogue, recommender.rest)]
        served += [(one.recommender, one.catalogue, one.items) for one in recommender.others]
        for part, its_catalogue, mask in served:
            places = np.flatnonzero(mask[ranked.found.items])
            said = _explained(_Case(part, its_catalogue, histories, of_part(ranked, part, places)))
            for place, code, text in zip(places.tolist(), *said, strict=True):
                codes[place], texts[place] = code, text
    else:
        codes, texts = _explained(_Case(recommender, catalogue, histories, ranked))
    for place, rule in enumerate(ranked.by_rule if isinstance(ranked, Reranked) else ()):
        if rule is not None:
            codes[place], texts[place] = RULE, f"Placed by the shop's rule “{rule}”"
    return codes, texts


def _explained(case: "_Case") -> tuple[list[str], list[str]]:
    kind = case.kinds()
    codes = [CODES[k] for k in kind]
    texts = [""] * len(codes)
    for number, name in enumerate(SPOKEN):
        rows = np.flatnonzero(kind == number)
        if len(rows):
            for row, text in zip(rows, _SENTENCES[name](case, rows), strict=True):
                texts[row] = text
    return codes, texts


@dataclass(frozen=True)
class _Case:
    """The rows to explain, with all that they rest on."""

    recommender: Recommender
    catalogue: Catalogue
    histories: Histories
    ranked: Ranked

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

    def kinds(self) -> NDArray[np.intp]:
        """Which of ``CODES`` speaks most for every row, among those that there is evidence of."""
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
        evidence = {
            REPEAT: self.met(),
            BRAND: self.others_of(self.catalogue.brand) > 0,
            SIMILAR: (others > 0) & (TEXTS in self.recommender.signals.signals),
            TOGETHER: self.loudest(self.signals_of(TOGETHER)) >= 0,
            CATEGORY: (self.column("leaf_affinity") > 0) | (self.others_of(self.catalogue.leaf) > 0),
            TASTE: others > 0,
            POPULAR: self.met_by > 0,
            NEW: np.zeros(len(self.items), np.bool_),
        }
        for number, name in enumerate(SPOKEN):
            said[:, number] = np.where(evidence[name] & (heard[number] | (name == POPULAR)), said[:, number], -np.inf)
        best = np.argmax(said, axis=1)
        return np.where(np.isneginf(said.max(axis=1)), CODES.index(NEW), best)

    def strongest(
        self, rows: NDArray[np.intp], value: Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """The history item of greatest ``value(history, items)`` (h, i) for every row, itself left out; -1: none."""
        recent = recent_items(self.histories, READ_BACK)
        found = np.full(len(rows), -1, np.int64)
        users = self.users[rows]
        for first, stop in zip(*_runs(users), strict=True):
            history, wanted = recent.of(int(users[first])), self.items[rows[first:stop]]
            if len(history) == 0:
                continue
            values = np.where(history[:, None] == wanted[None, :], -np.inf, value(history, wanted))
            best = np.argmax(values, axis=0)
            found[first:stop] = np.where(np.isneginf(values.max(axis=0)), -1, history[best])
        return found

    def done(self, rows: NDArray[np.intp], items: NDArray[np.integer]) -> list[str]:
        """What the user of every row last did with an item of his history."""
        met = distinct_items(self.histories)
        events = self.histories.events[met.last].astype(np.float32) + 1
        table = sparse.csr_matrix((events, met.items, met.indptr), shape=(len(self.histories), self.histories.n_items))
        codes = np.asarray(table[self.users[rows], np.maximum(items, 0)]).ravel().astype(int) - 1
        return [DONE.get(c.EVENTS[code], "met") if code >= 0 else "met" for code in codes]

    def names(self, items: NDArray[np.integer]) -> list[str]:
        """Titles, or ids where there are none."""
        frame, ids = self.catalogue.frame, self.catalogue.items.take(items)
        if c.TITLE not in frame.columns:
            return ids.to_list()
        titles = frame[c.TITLE].gather(items).str.strip_chars()
        return pl.select(pl.when(titles != "").then(titles).otherwise(ids)).to_series().fill_null(ids).to_list()


def _runs(users: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and end of every run of equal values."""
    first = np.flatnonzero(np.diff(users, prepend=-1))
    return first, np.append(first[1:], len(users))[: len(first)]


def _repeat(case: _Case, rows: NDArray[np.intp]) -> list[str]:
    done, counts = case.done(rows, case.items[rows]), np.zeros(len(rows), np.int64)
    verbs = np.array([DONE.get(event, "met") for event in c.EVENTS])[case.histories.events]
    for verb in set(done):  # bought twice and looked at three times is bought twice
        matrix = case.histories.keep(verbs == verb).matrix(binary=False)
        of_verb = pairs_of_sparse(matrix, case.ranked.found.indptr, case.items)[rows]
        counts[np.array(done) == verb] = of_verb[np.array(done) == verb]
    return [
        f"{verb.capitalize()} {'once' if n == 1 else 'twice' if n == 2 else f'{n:,} times'} before"
        for verb, n in zip(done, counts.tolist(), strict=True)
    ]


def _brand(case: _Case, rows: NDArray[np.intp]) -> list[str]:
    brand = case.catalogue.brand[case.items[rows]]
    met = case.others_of(case.catalogue.brand)[rows]
    return [f"By {case.catalogue.brands[b]}, {_met(n)}" for b, n in zip(brand, met.tolist(), strict=True)]


def _met(n: int) -> str:
    return f"of which {'another item was' if n == 1 else f'{n:,} items were'} met before"


def _similar(case: _Case, rows: NDArray[np.intp]) -> list[str]:
    source = case.recommender.signals.signals[TEXTS].source
    if not isinstance(source, Content):
        return ["Reads like what was met before"] * len(rows)
    vectors, text_of = source.vectors, source.text_of

    def cosine(history: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.asarray(vectors[text_of[history]] @ vectors[text_of[items]].T, np.float32)

    return _with_item(case, rows, case.strongest(rows, cosine), "Reads like", "Reads like what was met before")


def _together(case: _Case, rows: NDArray[np.intp]) -> list[str]:
    names = case.signals_of(TOGETHER)
    loudest, evidence = case.loudest(names)[rows], np.full(len(rows), -1, np.int64)
    for number, name in enumerate(names):
        source, said = case.recommender.signals.signals[name].source, loudest == number
        if isinstance(source, ItemKnn | Ease):
            evidence[said] = case.strongest(rows[said], partial(_added, source))
    return _with_item(case, rows, evidence, "People also met", "People met it with items of yours")


def _added(source: ItemKnn | Ease, history: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
    """What each item of a history adds, where it adds something: float32 (h, i), else -inf."""
    added = source.between(history, items)
    return np.where(added > 0, added, np.float32(-np.inf))


def _with_item(
    case: _Case, rows: NDArray[np.intp], evidence: NDArray[np.int64], opening: str, without: str
) -> list[str]:
    names, done = case.names(np.maximum(evidence, 0)), case.done(rows, evidence)
    return [
        f"{opening} {name}, {verb} before" if item >= 0 else without
        for item, name, verb in zip(evidence.tolist(), names, done, strict=True)
    ]


def _category(case: _Case, rows: NDArray[np.intp]) -> list[str]:
    group, leaves = case.catalogue.leaf, case.catalogue.leaves
    signal, beside = case.recommender.signals.signals.get("leaf_affinity"), np.full(len(rows), -1, np.int64)
    if signal is not None and isinstance(signal.source, LeafAffinity):
        lift, goes = signal.source.lift, case.column("leaf_affinity")[rows] > 0

        def affinity(history: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
            return np.asarray(lift[group[history]][:, group[items]].toarray(), np.float32)

        beside[goes] = case.strongest(rows[goes], affinity)
    texts = []
    for item, met, n in zip(case.items[rows], beside, case.others_of(group)[rows].tolist(), strict=True):
        goes_with = met >= 0 and group[met] != group[item]
        why = f", which goes with {leaves[group[met]]}" if goes_with else f", {_met(n)}" if n else ""
        texts.append(f"From {leaves[group[item]]}{why}")
    return texts


def _taste(case: _Case, rows: NDArray[np.intp]) -> list[str]:
    return ["Met by people of like taste"] * len(rows)


def _popular(case: _Case, rows: NDArray[np.intp]) -> list[str]:
    return [f"Met by {n:,} {'person' if n == 1 else 'people'}" for n in case.met_by[rows].tolist()]


def _new(case: _Case, rows: NDArray[np.intp]) -> list[str]:
    return ["New: nobody has met it yet"] * len(rows)


_SENTENCES: dict[str, Callable[[_Case, NDArray[np.intp]], list[str]]] = {
    REPEAT: _repeat,
    BRAND: _brand,
    SIMILAR: _similar,
    TOGETHER: _together,
    CATEGORY: _category,
    TASTE: _taste,
    POPULAR: _popular,
    NEW: _new,
}
