"""Where marked words stand, what a dictionary knows, and F1 under resampling, by hand."""

import numpy as np
import pytest

pytest.importorskip("torch")
from benchmarks.spans import (
    BRAND,
    CHINESE,
    PRODUCT,
    Split,
    both,
    by_dictionary,
    by_first_word,
    counts,
    figures_of,
    placed,
    scores,
)


def split(train, test):
    return Split(CHINESE, tuple(train), tuple(test), np.arange(len(test)))


def test_marked_words_stand_behind_each_other_and_other_kinds_take_their_place():
    """元宝 comes twice; the first is of a kind that nobody asks for."""
    marked = [("MISC", "元宝"), ("HPPX", "七雄"), ("HCCX", "元宝")]
    assert placed("元宝/七雄元宝", marked) == [(3, 5, BRAND), (5, 7, PRODUCT)]


def test_the_dictionary_takes_the_longest_of_what_is_a_span_as_often_as_not():
    train = [
        ("Bic pen", [(0, 3, BRAND)]),
        ("Bic Pro pen", [(0, 7, BRAND)]),
        ("Post note", [(0, 4, BRAND)]),
        ("a post", []),
        ("the post", []),  # once of three: no brand
    ]
    said = by_dictionary(split(train, [("new bic pro and bic", []), ("post it", []), ("bicycle", [])]))
    assert said == [[(4, 11, BRAND), (16, 19, BRAND)], [], []]
    assert by_first_word(split(train, [("Elmer's, glue", [])])) == [[(0, 7, BRAND)]]


def test_a_title_is_seen_where_all_its_brands_are():
    train = [("Bic pen", [(0, 3, BRAND)])]
    test = [
        ("BIC ink", [(0, 3, BRAND)]),
        ("Uni ink", [(0, 3, BRAND)]),
        ("Bic Uni", [(0, 3, BRAND), (4, 7, BRAND)]),
        ("ink", [(0, 3, PRODUCT)]),
    ]
    assert split(train, test).seen().tolist() == [1, 0, -1, -1]


def test_f1_of_every_resample_and_the_gain_over_the_better_rule():
    """Marked are 2 and 1 spans; said 1, which is right, and 1 wrong: 2 · 1 / (3 + 2). The rule says 2, both right."""
    test = [("a b", [(0, 1, BRAND), (2, 3, BRAND)]), ("c", [(0, 1, BRAND)])]
    tuned = counts(test, [[(0, 1, BRAND)], [(0, 1, PRODUCT), (0, 2, BRAND)]], (BRAND,))
    assert tuned.tolist() == [[2, 3], [0, 2]]
    rule = counts(test, [[(0, 1, BRAND), (2, 3, BRAND)], []], (BRAND,))
    found = scores({"tuned": tuned, "dictionary": rule}, np.array([5, 9]), resamples=4000)
    assert found["tuned"][0] == pytest.approx(0.4)
    assert found["dictionary"][0] == pytest.approx(0.8)
    assert set(np.round(found["tuned"][1:], 6)) == {
        round(4 / 6, 6),
        0.4,
        0.0,
    }
    figures = figures_of("zh", found)
    assert figures["zh.f1"].value == pytest.approx(0.4)
    assert figures["zh.gain"].value == pytest.approx(-0.4)
    pooled = scores({"tuned": np.concatenate([tuned, rule])}, np.array([5, 9]))  # two seeds
    assert pooled["tuned"][0] == pytest.approx(6 / 10)


def test_the_second_fills_in_where_the_first_has_nothing():
    first = [[(0, 3, BRAND)], []]
    then = [[(2, 5, BRAND), (3, 6, PRODUCT)], [(0, 2, BRAND)]]
    assert both(first, then) == [[(0, 3, BRAND), (3, 6, PRODUCT)], [(0, 2, BRAND)]]
