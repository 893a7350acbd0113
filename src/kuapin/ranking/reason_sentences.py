"""One sentence for each kind of reason, and the items of the history that it rests on."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.schema import SCHEMAS
from kuapin.ranking.reason_case import Case
from kuapin.ranking.reason_kinds import (
    BRAND,
    CATEGORY,
    NEW,
    NEXT,
    NOTHING,
    PATH,
    POPULAR,
    REPEAT,
    SIMILAR,
    TASTE,
    TOGETHER,
    Said,
)
from kuapin.ranking.signals import TEXTS
from kuapin.retrieval.selection import pairs_of_sparse
from kuapin.retrieval.sources.affinity import LeafAffinity
from kuapin.retrieval.sources.content import Content
from kuapin.retrieval.sources.ease import Ease
from kuapin.retrieval.sources.graph import Graph
from kuapin.retrieval.sources.item_knn import ItemKnn
from kuapin.retrieval.sources.sequence import Sequence

Together = ItemKnn | Ease | Sequence
"""Sources that learn from what people met together, and can say what each item of a history has to do with it."""


def _repeat(case: Case, rows: NDArray[np.intp]) -> Said:
    done, counts = case.done(rows, case.items[rows]), np.zeros(len(rows), np.int64)
    events = np.array(c.EVENTS)[case.histories.events]
    for event in set(done):  # bought twice and looked at three times is bought twice
        matrix = case.histories.keep(events == event).matrix(binary=False)
        of_event = pairs_of_sparse(matrix, case.ranked.found.indptr, case.items)[rows]
        counts[np.array(done) == event] = of_event[np.array(done) == event]
    for row, event, n in zip(rows, done, counts.tolist(), strict=True):
        yield case.say.repeat(event, n), case.items[row : row + 1]


def _brand(case: Case, rows: NDArray[np.intp]) -> Said:
    brand = case.catalogue.brand[case.items[rows]]
    met = case.others_of(case.catalogue.brand)[rows]
    evidence = case.own(rows, case.catalogue.brand, brand)
    for b, n, items in zip(brand, met.tolist(), evidence, strict=True):
        yield case.say.brand(case.catalogue.brands[b], n), items


def _similar(case: Case, rows: NDArray[np.intp]) -> Said:
    source, found = case.recommender.signals.signals[TEXTS].source, np.full(len(rows), -1, np.int64)
    if isinstance(source, Content):
        found = case.strongest(rows, partial(alike, source))
    return _with_item(case, rows, found, case.say.similar)


def alike(source: Content, history: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
    """The cosine of the texts of a history and of items, where it is above 0: float32 (h, i), else -inf."""
    vectors, text_of = source.vectors, source.text_of
    cosine = vectors[text_of[history]] @ vectors[text_of[items]].T
    return np.where(cosine > 0, cosine, np.float32(-np.inf))


def _together(case: Case, rows: NDArray[np.intp]) -> Said:
    return _of_others(case, rows, TOGETHER, case.say.together)


def _next(case: Case, rows: NDArray[np.intp]) -> Said:
    return _of_others(case, rows, NEXT, case.say.next)


def _of_others(case: Case, rows: NDArray[np.intp], kind: str, say: Callable[[str | None, str], str]) -> Said:
    names = case.signals_of(kind)
    loudest, evidence = case.loudest(names)[rows], np.full(len(rows), -1, np.int64)
    for number, name in enumerate(names):
        source, said = case.recommender.signals.signals[name].source, loudest == number
        if isinstance(source, Together):
            evidence[said] = case.strongest(rows[said], partial(added, source))
    return _with_item(case, rows, evidence, say)


def added(source: Together, history: NDArray[np.int32], items: NDArray[np.int32]) -> NDArray[np.float32]:
    """What each item of a history adds, where it adds something: float32 (h, i), else -inf."""
    added = source.between(history, items)
    return np.where(added > 0, added, np.float32(-np.inf))


def _with_item(
    case: Case, rows: NDArray[np.intp], evidence: NDArray[np.int64], say: Callable[[str | None, str], str]
) -> Said:
    names, done = case.names(np.maximum(evidence, 0)), case.done(rows, evidence)
    for item, name, event in zip(evidence.tolist(), names, done, strict=True):
        known = item >= 0
        yield say(name if known else None, event), np.array([item] if known else [], np.int32)


def _category(case: Case, rows: NDArray[np.intp]) -> Said:
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


def _path(case: Case, rows: NDArray[np.intp]) -> Said:
    source, found = case.recommender.signals.signals["graph"].source, np.full(len(rows), -1, np.int64)
    if isinstance(source, Graph):
        found = case.strongest(rows, source.near)
        names, done = case.names(np.maximum(found, 0)), case.done(rows, found)
        for row, item, name, event in zip(rows, found.tolist(), names, done, strict=True):
            way = source.knowledge.path(item, int(case.items[row])) if item >= 0 else None
            evidence = np.array([item] if item >= 0 else [], np.int32)
            kind, thing = way or (None, None)
            yield case.say.path(kind, thing, name if item >= 0 else None, event), evidence


def by_attribute(case: Case, row: int, item: int) -> bool:
    """Whether the path from an item of the history to that of a row leads through a column of the items table."""
    source, frame = case.recommender.signals.signals["graph"].source, case.catalogue.frame
    way = source.knowledge.path(item, int(case.items[row])) if isinstance(source, Graph) else None
    return way is not None and way[0] in frame.columns and way[0] not in SCHEMAS[c.ITEMS].declared


def _taste(case: Case, rows: NDArray[np.intp]) -> Said:
    return ((case.say.taste(None, ""), NOTHING) for _ in rows)


def _popular(case: Case, rows: NDArray[np.intp]) -> Said:
    return ((case.say.popular(n), NOTHING) for n in case.met_by[rows].tolist())


def _new(case: Case, rows: NDArray[np.intp]) -> Said:
    return ((case.say.new(), NOTHING) for _ in rows)


SENTENCES: dict[str, Callable[[Case, NDArray[np.intp]], Said]] = {
    REPEAT: _repeat,
    BRAND: _brand,
    SIMILAR: _similar,
    TOGETHER: _together,
    NEXT: _next,
    CATEGORY: _category,
    PATH: _path,
    TASTE: _taste,
    POPULAR: _popular,
    NEW: _new,
}
