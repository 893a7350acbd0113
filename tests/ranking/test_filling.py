"""By hand: six items in two categories, a user who was proposed enough and one who was not."""

import numpy as np

from kuapin.data.histories import empty_histories
from kuapin.ranking.filling import LAST, Filling
from kuapin.retrieval.source import Candidates

CATEGORY = np.array([0, 0, 0, 1, 1, 1], np.int32)
ORDER = np.array([5, 4, 3, 2, 1, 0], np.int32)
PROPOSED = np.array([0, 2, 3]), np.array([0, 3, 5], np.int32)


def alike(histories):
    assert len(histories) == 1
    return Candidates(np.array([0, 1]), np.array([0], np.int32), np.ones(1, np.float32))


def parts_of(**settings) -> list[tuple[int, int, list[int]]]:
    usual = {"n": 2, "order": lambda: ORDER, "category": CATEGORY, "per_category": None, "each": 2}
    filling = Filling(**usual | settings)
    parts = filling.parts(empty_histories(2, 6, timed=False), PROPOSED)
    items = np.split(parts.items, parts.indptr[1:-1])
    return [(u, k, own.tolist()) for u, k, own in zip(parts.users, parts.number, items, strict=True)]


def test_who_has_enough_gets_nothing_more():
    assert parts_of(n=1, alike=alike) == [(0, 0, [0, 3]), (1, 0, [5])]


def test_who_is_short_gets_what_reads_alike_and_the_first_of_the_fallback_then_the_fallback():
    assert parts_of(alike=alike) == [(0, 0, [0, 3]), (1, 0, [5]), (1, 1, [0, 4]), (1, LAST, [])]
    assert parts_of(alike=None) == [(0, 0, [0, 3]), (1, 0, [5]), (1, 1, [4]), (1, LAST, [])]


def test_the_cap_needs_items_of_other_categories():
    short = parts_of(per_category=1, each=1, alike=None)
    assert short == [(0, 0, [0, 3]), (1, 0, [5]), (1, 1, []), (1, LAST, [4, 2])]  # item 2 is of the other category
