"""Why a product is shown: the kind of evidence that speaks most for it, and the very item, brand or count behind it.

How much a signal speaks is what it adds to the ranker's sum (``Linear.contributions``). Evidence out of the history is
found by what its deletion would take away: the history item with the greatest share in the signal; of texts, the one
that reads most alike. A kind that names evidence is told only if taking it away is felt (``deletion.py``): the row
falls behind its neighbours, or its score falls at least twice as much as when as much other history is taken. Where
no kind is felt, the history is taken out item by item (``reason_sets.py``); where nothing is, the row says what needs
no evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.phrases import PHRASES, Language
from kuapin.ranking.reason_case import Case
from kuapin.ranking.reason_kinds import ATTRIBUTE, CODES, NAMING, NOTHING, PATH, REPEAT, RULE, SPOKEN, Evidence
from kuapin.ranking.reason_sentences import SENTENCES, by_attribute
from kuapin.ranking.reason_sets import missed_most, told_of
from kuapin.ranking.recommender import Ranked, Recommender
from kuapin.ranking.reranker import Reranked
from kuapin.ranking.routed import Routed, of_part


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
        said = Explained([""] * n, [""] * n, [NOTHING] * n)
        served = [(recommender.default, catalogue, recommender.rest)]
        served += [(one.recommender, one.catalogue, one.items) for one in recommender.others]
        for part, its_catalogue, mask in served:
            places = np.flatnonzero(mask[ranked.found.items])
            if len(places) == 0:
                continue
            of = _explained(Case(part, its_catalogue, histories, of_part(ranked, part, places), say))
            for place, code, text, items in zip(places.tolist(), of.codes, of.texts, of.evidence, strict=True):
                said.codes[place], said.texts[place], said.evidence[place] = code, text, items
    else:
        said = _explained(Case(recommender, catalogue, histories, ranked, say))
    for place, rule in enumerate(ranked.by_rule if isinstance(ranked, Reranked) else ()):
        if rule is not None:
            said.codes[place], said.texts[place], said.evidence[place] = RULE, say.rule(rule), NOTHING
    return said


def _explained(case: Case) -> Explained:
    said, repeat = case.evidence(), CODES.index(REPEAT)
    sure = case.had_before()  # whatever else speaks for it: that it was met before is what a person knows of it
    naming = said[:, : len(NAMING)].copy()
    naming[sure] = -np.inf
    told: dict[str, dict[int, tuple[str, Evidence]]] = {name: {} for name in CODES}
    chosen = np.where(sure, repeat, -1)
    while len(waiting := np.flatnonzero((chosen < 0) & np.isfinite(naming).any(axis=1))):
        kind = np.argmax(naming[waiting], axis=1)  # the loudest of every row, then the next where that was not felt
        for number, name in enumerate(NAMING):
            rows = waiting[kind == number]
            if len(rows) == 0:
                continue
            told[name] |= dict(zip(rows.tolist(), SENTENCES[name](case, rows), strict=True))
            felt = case.felt(rows, [told[name][row][1] for row in rows.tolist()])
            chosen[rows[felt]] = number
            naming[rows, number] = -np.inf
    found = missed_most(case, np.flatnonzero(chosen < 0))
    for row, name, text in told_of(case, found):
        told[name][row] = text, found[row]
        chosen[row] = CODES.index(name)
    rest = np.flatnonzero(chosen < 0)
    unnamed = said[rest, len(NAMING) :]
    unnamed[np.isneginf(unnamed).all(axis=1), -1] = 0.0  # nothing is known of it
    chosen[rest] = len(NAMING) + np.argmax(unnamed, axis=1)
    return _worded(case, chosen, told)


def _worded(case: Case, kind: NDArray[np.intp], told: Mapping[str, Mapping[int, tuple[str, Evidence]]]) -> Explained:
    """The sentences of the chosen kinds; those of ``told`` are not made again."""
    codes = [CODES[k] for k in kind]
    texts, evidence = [""] * len(codes), [NOTHING] * len(codes)
    for number, name in enumerate(SPOKEN):
        rows = np.flatnonzero(kind == number)
        untold = rows[[row not in told[name] for row in rows.tolist()]]
        made = dict(zip(untold.tolist(), SENTENCES[name](case, untold), strict=True)) if len(untold) else {}
        for row in rows.tolist():
            texts[row], evidence[row] = made.get(row) or told[name][row]
            if name == PATH and len(evidence[row]) and by_attribute(case, row, int(evidence[row][0])):
                codes[row] = ATTRIBUTE
    return Explained(codes, texts, evidence)
