"""What a reason may rest on: its codes, the signals that speak for each, and how much is looked at."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

REPEAT, BRAND, SIMILAR, TOGETHER, NEXT, CATEGORY, PATH, TASTE, POPULAR, NEW, ATTRIBUTE, RULE = CODES = (
    "repeat",
    "brand",
    "similar",
    "together",
    "next",
    "category",
    "path",
    "taste",
    "popular",
    "new",
    "attribute",
    "rule",
)
"""Reason codes: the user had it before; he met the brand; it reads like an item that he met; others met both; it
often comes after one that he met; its shelf is one of his or goes with one; a relation, or a thing that both have,
leads to it from an item that he met; people of like taste met it; many met it; nothing is known of it yet; the path
leads through an attribute of both; a rule of the shop placed it."""
SPOKEN = CODES[:-2]
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
    "sequence": NEXT,
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
NOTHING = np.empty(0, np.int32)
SHORTLIST = 3
"""Items of a history that are tried as the evidence of one row, and named together at most."""
TAKEN_OUT = 12
"""Most recent distinct items of a history that are taken out one by one where no kind of evidence was felt."""
LONGEST_TITLE = 80
"""Characters of a title in a sentence; what is longer is cut."""
READ_BACK = 100
"""Most recent distinct items of a history that evidence is looked for in."""
NAMING = (REPEAT, BRAND, SIMILAR, TOGETHER, NEXT, CATEGORY, PATH)
"""Those that name something of the user's own history: told only if taking it away is felt.

What was met before needs no proof where that speaks for an item.
"""
