"""Why a product is shown: the kind of evidence that speaks most for it, and the very item, brand or count behind it.

How much a signal speaks is what it adds to the ranker's sum (``Linear.contributions``). Evidence out of the history is
found by what its deletion would take away: the history item with the greatest share in the signal; of texts, the one
that reads most alike. A kind that names evidence is told only if taking it away is felt (``deletion.py``): the row
falls behind its neighbours, or its score falls at least twice as much as when as much other history is taken. Where
no item alone is felt, a few of them may be together; where nothing is felt, the row says what needs no evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.phrases import PHRASES, Language
from kuapin.ranking.reason_case import Case
from kuapin.ranking.reason_kinds import CODES, MEASURED, NAMING, NEW, NOTHING, REPEAT, RULE, SPOKEN, Evidence
from kuapin.ranking.reason_sentences import SENTENCES, SEVERAL
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
    said, own = case.evidence(), case.met()
    heard = np.isfinite(said)
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
                told[name] |= dict(zip(rows.tolist(), SENTENCES[name](case, rows), strict=True))
                unfelt = rows[~case.felt(rows, [told[name][row][1] for row in rows.tolist()])]
                said[unfelt, number] = -np.inf
                again.append(unfelt)
        waiting = np.concatenate([np.empty(0, np.intp), *again])
    said[np.isneginf(said.max(axis=1)), CODES.index(NEW)] = 0.0
    kind = np.argmax(said, axis=1)
    silent = np.flatnonzero(~np.isin(kind, [CODES.index(name) for name in NAMING]))
    for name, sentences in SEVERAL.items():  # what no single item carries, a few may carry together
        rows = silent[heard[silent, CODES.index(name)]]
        if len(rows):
            made = list(sentences(case, rows))
            felt = case.felt(rows, [items for _, items in made])
            told[name] |= {row: one for row, one, yes in zip(rows.tolist(), made, felt, strict=True) if yes}
            kind[rows[felt]] = CODES.index(name)
            silent = np.setdiff1d(silent, rows[felt])
    return _worded(case, kind, told)


def _worded(case: Case, kind: NDArray[np.intp], told: Mapping[str, Mapping[int, tuple[str, Evidence]]]) -> Explained:
    """The sentences of the chosen kinds; those of ``told`` are not made again."""
    codes = [CODES[k] for k in kind]
    texts, evidence = [""] * len(codes), [NOTHING] * len(codes)
    for number, name in enumerate(SPOKEN):
        rows, known = np.flatnonzero(kind == number), told.get(name)
        if len(rows) == 0:
            continue
        made = (known[row] for row in rows.tolist()) if known is not None else SENTENCES[name](case, rows)
        for row, (text, items) in zip(rows, made, strict=True):
            texts[row], evidence[row] = text, items
    return Explained(codes, texts, evidence)
