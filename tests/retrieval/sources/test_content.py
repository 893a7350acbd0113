import numpy as np
import pytest

from kuapin.errors import InputError
from kuapin.retrieval import waves
from kuapin.retrieval.sources import content
from kuapin.retrieval.sources.content import Content, ContentConfig, distinct_rows

# Centred on their mean, (0, 0), these stay as they are; a and e share a text.
VECTORS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0], [-1, 0]], np.float32)


def test_log_sum_exp_by_hand(visible, of):
    source = Content(ContentConfig(temperature=0.5)).fit(visible(n_items=6, vectors=VECTORS))
    scores = source.score(of("a", "ab", "ae", n_items=6))
    one = np.array([2, 0, -2, 0, 2, -2.0])  # cos / τ to a
    two = np.log(np.exp(one) + np.exp([0, 2, 0, -2, 0, 0]))  # and to b
    np.testing.assert_allclose(scores, [one, two, one + np.log(2)], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("max", [1, 1, 0, 0, 1, 0]), ("mean", np.sqrt(0.5) * np.array([1, 1, -1, -1, 1, -1]))],
)
def test_other_poolings_by_hand(visible, of, pooling, expected):
    source = Content(ContentConfig(pooling=pooling)).fit(visible(n_items=6, vectors=VECTORS))
    np.testing.assert_allclose(source.score(of("ab", n_items=6))[0], expected, atol=1e-6)


def test_what_all_texts_share_is_taken_away(visible, of):
    shifted = VECTORS + np.float32(10)
    plain = Content().fit(visible(n_items=6, vectors=VECTORS)).score(of("ab", n_items=6))
    centred = Content().fit(visible(n_items=6, vectors=shifted)).score(of("ab", n_items=6))
    np.testing.assert_allclose(centred, plain, rtol=1e-4)
    raw = Content(ContentConfig(centred=False)).fit(visible(n_items=6, vectors=shifted)).score(of("ab", n_items=6))
    assert np.ptp(raw) < 1 < np.ptp(plain)


def test_the_most_recent_distinct_items_count(visible, of):
    source = Content(ContentConfig(max_history=2)).fit(visible(n_items=6, vectors=VECTORS))
    # Of "abcbdb" the last two distinct items are d and b.
    scores = source.score(of("abcbdb", "db", "abcbd", n_items=6))
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


def test_nothing_for_a_user_without_history(visible, of):
    source = Content(ContentConfig(temperature=0.1)).fit(visible(n_items=6, vectors=VECTORS))
    assert source.score(of("", "a", n_items=6))[0].tolist() == [-10.0] * 6
    assert source.top(of("", "a", n_items=6), 2).indptr.tolist() == [0, 0, 2]


def test_items_of_one_text_tie_and_come_by_row(visible, of):
    top = Content().fit(visible(n_items=6, vectors=VECTORS)).top(of("a", n_items=6), 4, np.array([1, 2, 4, 5]))
    assert top.items.tolist() == [4, 1, 2, 5]


def test_tiles_and_user_parts_do_not_show(visible, of, monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(26, 8)).astype(np.float32)
    histories = of(*("".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 9)) for _ in range(70)), n_items=26)
    # A high temperature: at a low one all items of the history score nearly the same, and rounding orders them.
    source = Content(ContentConfig(temperature=1)).fit(visible(n_items=26, vectors=vectors))
    whole, top = source.score(histories), source.top(histories, 5)
    for name in ("READ_TILE", "WANTED_TILE"):
        monkeypatch.setattr(content, name, 3)
    for name, value in (("MOST_USERS", 32), ("LEAST_WAVE", 4), ("WAVE_BYTES", 300)):
        monkeypatch.setattr(waves, name, value)
    monkeypatch.setattr(content, "MOST_USERS", 32)
    monkeypatch.setattr(content, "POOLED_BYTES", 300)
    np.testing.assert_allclose(source.score(histories), whole, rtol=1e-5)
    np.testing.assert_array_equal(source.top(histories, 5).items, top.items)


def test_distinct_rows():
    rows, which = distinct_rows(VECTORS)
    assert len(rows) == 4
    np.testing.assert_array_equal(rows[which], VECTORS)


def test_vectors_are_needed(visible):
    with pytest.raises(InputError, match="needs text vectors"):
        Content().fit(visible(n_items=2))
