"""What counts as the same statement again."""

import numpy as np
import pytest

from benchmarks.profile_stability import compared, drawn_again, gap, thinned
from kuapin.data.histories import Histories
from kuapin.surfaces.profile import DAY, Statement


def said(kind, value):
    return Statement(kind, value, 1.0, "")


@pytest.mark.parametrize(("value", "days"), [("every day", 1), ("every 3 days", 3), ("every 2.5 days", 2.5)])
def test_the_gap_of_a_rhythm(value, days):
    assert gap(said("rhythm", value)) == days


@pytest.mark.parametrize(("other", "same"), [("every 12.5 days", True), ("every 13 days", False)])
def test_a_rhythm_is_the_same_within_a_quarter(other, same):
    assert [made for _, made, _ in compared([said("rhythm", "every 10 days")], [said("rhythm", other)], 0)] == [same]


def test_other_statements_are_the_same_by_kind_and_value():
    before = [said("brand", "Oak"), said("category", "Oak")]
    assert [made for _, made, _ in compared(before, [said("brand", "Oak")], 0)] == [True, False]


def test_days_are_drawn_whole():
    items = np.arange(6, dtype=np.int32)
    times = np.array([0, 5, DAY, DAY, 3 * DAY, 3 * DAY], np.int64)
    own = Histories(np.array([0, 6]), items, times, np.zeros(6, np.uint8), 6, True)
    rng = np.random.default_rng(0)
    for _ in range(10):
        again = drawn_again(own, rng)
        assert len(again.items) == 6
        pairs = np.bincount(again.items, minlength=6).reshape(3, 2)
        assert (pairs[:, 0] == pairs[:, 1]).all()
        assert (np.bincount(thinned(own, rng).items, minlength=6).reshape(3, 2).sum(axis=1) % 2 == 0).all()
