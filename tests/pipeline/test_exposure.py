"""Places by brand size and price level, on four brands whose thirds are worked out by hand."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_catalogue
from kuapin.evaluation.ranked import ItemFacts, Ranked
from kuapin.pipeline.report_exposure import brand_thirds, exposures


def test_thirds_of_brands_hold_a_third_of_what_was_met_each():
    brand = np.array([0, 0, 1, 2, 3, -1], np.int32)
    # A has 5 of 12, B 4, C 2, D 1: A begins at 0, B at 5 (the second third), C at 9 and D at 11 (the last)
    large, middle, small = brand_thirds(brand, np.array([3, 2, 4, 2, 1, 50]))
    assert large.tolist() == [True, True, False, False, False, False]
    assert middle.tolist() == [False, False, True, False, False, False]
    assert small.tolist() == [False, False, False, True, True, False]


def test_shares_of_places_choices_and_items():
    items = pl.DataFrame({"item_id": list("abcd"), "brand": ["A", "A", "B", None], "price": [1.0, 2.0, 3.0, None]})
    facts = ItemFacts(np.zeros(4, np.int32), np.array([9, 9, 1, 1]), 20, np.arange(4, dtype=np.int32))
    lists = Ranked(np.array([[0, 2], [0, -1]], np.int32))
    answers = SimpleNamespace(items=np.array([3, 3, 1, 2]))
    found = {one.name: one for one in exposures(lists, answers, build_catalogue(items), facts)}
    assert (found["large brands"].shown, found["large brands"].chosen) == (pytest.approx(2 / 3), 0.25)
    assert found["no brand"].chosen == 0.5
    assert (found["low prices"].shown, found["low prices"].items) == (pytest.approx(2 / 3), 0.25)
    assert found["no price"].items == 0.25
    assert sum(one.shown for name, one in found.items() if "brand" in name) == pytest.approx(1)
