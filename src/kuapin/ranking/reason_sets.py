"""Evidence found by taking it out: the few items of a history that a row would miss most."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kuapin.ranking.reason_case import Case
from kuapin.ranking.reason_kinds import NEXT, SHORTLIST, SIMILAR, TAKEN_OUT, TASTE, TOGETHER, Evidence
from kuapin.ranking.reason_sentences import Together, added, alike
from kuapin.ranking.signals import TEXTS
from kuapin.retrieval.sources.content import Content


def missed_most(case: Case, rows: NDArray[np.intp]) -> dict[int, Evidence]:
    """Row → the one, two or at most ``SHORTLIST`` items whose loss is felt; rows where none is are left out.

    Each of the ``TAKEN_OUT`` latest items is taken out by itself, and those by which the score falls most together.
    """
    if len(rows) == 0:
        return {}
    own = [case.recent.of(int(case.users[row]))[-TAKEN_OUT:] for row in rows]
    own = [items[items != case.items[row]] for row, items in zip(rows, own, strict=True)]
    each = np.repeat(rows, [len(items) for items in own])
    gone = [items[k : k + 1] for items in own for k in range(len(items))]
    lost = np.split(case.losses(each, gone).drop, np.cumsum([len(items) for items in own]))[:-1]
    order = [items[np.argsort(-drop, kind="stable")] for items, drop in zip(own, lost, strict=True)]
    reads = [items[_reads_like(case, row, items)] for row, items in zip(rows.tolist(), order, strict=True)]
    found: dict[int, Evidence] = {}
    for several in (reads, order):  # what reads like the row says more than what does not
        for size in range(1, SHORTLIST + 1):
            left = [k for k, row in enumerate(rows.tolist()) if row not in found and len(several[k]) >= size]
            felt = case.felt(rows[left], [several[k][:size] for k in left])
            found |= {int(rows[k]): several[k][:size] for k, yes in zip(left, felt, strict=True) if yes}
    return found


def _reads_like(case: Case, row: int, items: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which items read like that of a row; none where the release reads no texts."""
    signals = case.recommender.signals.signals
    source = signals[TEXTS].source if TEXTS in signals else None
    if not isinstance(source, Content):
        return np.zeros(len(items), np.bool_)
    return np.isfinite(alike(source, items, case.items[row : row + 1])[:, 0])


def told_of(case: Case, found: dict[int, Evidence]) -> Iterator[tuple[int, str, str]]:
    """Row, kind and sentence of every row whose evidence was found by taking it out.

    What reads like all of it is told so, else what others met with all of it or after it, else that people of like
    taste met it; nothing where the release does not look for these.
    """
    kinds = _kinds(case, found)
    if not kinds:
        return
    rows = np.array(list(kinds), np.intp)
    listed = np.full((len(rows), SHORTLIST), -1, np.int64)
    for items, row in zip(listed, rows.tolist(), strict=True):
        items[: len(found[row])] = found[row]
    names = [case.names(np.maximum(items, 0)) for items in listed.T[:2]]
    done = [case.done(rows, items) for items in listed.T[:2]]
    say = {SIMILAR: case.say.similar, TOGETHER: case.say.together, NEXT: case.say.next, TASTE: case.say.taste}
    for k, (row, kind) in enumerate(kinds.items()):
        several, event = len(found[row]), done[0][k]
        title = names[0][k] if several == 1 else case.say.both(names[0][k], names[1][k], several - 2)
        yield row, kind, say[kind](title, event if several == 1 or done[1][k] == event else "")


def _kinds(case: Case, found: dict[int, Evidence]) -> dict[int, str]:
    signals, met_by = case.recommender.signals.signals, case.met_by
    beside = {kind: [signals[name].source for name in case.signals_of(kind)] for kind in (TOGETHER, NEXT)}
    by_taste = len(case.signals_of(TASTE)) > 0
    kinds = {}
    for row, items in found.items():
        one = case.items[row : row + 1]
        if _reads_like(case, row, items).all():
            kinds[row] = SIMILAR
        elif said := [kind for kind, sources in beside.items() if any(_adds(source, items, one) for source in sources)]:
            kinds[row] = said[0]
        elif by_taste and met_by[row]:
            kinds[row] = TASTE
    return kinds


def _adds(source: object, items: NDArray[np.int32], one: NDArray[np.int32]) -> bool:
    """Whether each of some items of a history adds something to one item."""
    return isinstance(source, Together) and bool(np.isfinite(added(source, items, one)).all())
