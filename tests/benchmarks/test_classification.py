"""The classes that titles are put into, and macro-F1 under resampling, by hand."""

import numpy as np
import pytest

pytest.importorskip("torch")
from benchmarks.classification import Titles, drawn, figures_of, macro_f1s, rolled_up, titles_of


def test_an_item_is_in_the_deepest_category_with_enough_items():
    paths = ["A>B>C", "A>B>C", "A>B>D", "A>E", None, "F"]
    assert rolled_up(paths, 2) == ["A > B > C", "A > B > C", "A > B", "A", None, None]
    assert rolled_up(paths, 3) == ["A > B", "A > B", "A > B", "A", None, None]


def test_a_title_of_two_classes_and_small_classes_are_left_out(monkeypatch):
    monkeypatch.setattr("benchmarks.classification.LEAST_ITEMS", 2)
    found = titles_of("set", ["a", "b", "b", "c", "c", "d", "e", None], ["x", "x", "y", "x", "x", "z", None, "x"])
    assert found.titles == ("a", "c")  # b is of two, d alone in its class
    assert found.names == ("x",)


def test_macro_f1_of_every_resample():
    """Wanted 0 0 1, said 0 1 1: F1 ⅔ and ⅔. Without the second title both are 1; with the second alone both are 0."""
    said, wanted = np.array([0, 1, 1]), np.array([0, 0, 1])
    weight = np.array([[1.0, 1, 1], [1, 0, 1], [0, 1, 0], [2, 0, 0]])
    assert macro_f1s(said, wanted, weight, 2).tolist() == pytest.approx([2 / 3, 1, 0, 1])


def test_a_draw_has_so_many_labels_of_every_class_and_none_that_is_tested(monkeypatch):
    monkeypatch.setattr("benchmarks.classification.LABELS", (1, 5))
    data = Titles("set", tuple(f"t{n}" for n in range(60)), np.arange(60) % 3, ("x", "y", "z"))
    pool, test = data.split()
    assert np.bincount(data.classes[pool]).tolist() == [5, 5, 5]
    assert set(pool).isdisjoint(test)
    one, other = drawn(data, pool, 2, 0), drawn(data, pool, 2, 1)
    assert np.bincount(data.classes[one]).tolist() == [2, 2, 2]
    assert set(one) <= set(pool)
    assert set(one) != set(other)


def test_gains_are_over_the_better_regression():
    found = {"tfidf": np.full(9, 0.5), "frozen": np.full(9, 0.6), "top-layers": np.full(9, 0.61)}
    figures = figures_of("", 20, found | {"ensemble": np.full(9, 0.65)})
    assert figures["20.best_baseline.macro_f1"].value == 0.6
    assert figures["20.gain"].value == pytest.approx(0.01)
    assert figures["20.ensemble_gain"].value == pytest.approx(0.05)
    assert "20.ensemble_gain" not in figures_of("", 20, found)
