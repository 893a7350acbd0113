"""Lift and text complements, by hand."""

import numpy as np
import pytest

from kuapin.retrieval.sources import complement
from kuapin.retrieval.sources.complement import Complement, ComplementConfig
from kuapin.retrieval.sources.lift import Lift, LiftConfig


def test_lift_is_the_logarithm_of_seen_over_chance(visible, of):
    # a in 3 of 4 baskets, b in 2, both in 2: (2 + 1) / (3 · 2 / 4 + 1) = 1.2; c, d: (1 + 1) / (1 / 4 + 1)
    source = Lift(LiftConfig(shrinkage=1.0)).fit(visible("ab", "ab", "a", "cd", n_items=5))
    scores = source.score(of("a", "c", "ab", n_items=5))
    assert scores[0] == pytest.approx([0, np.log(1.2), 0, 0, 0], abs=1e-6)
    assert scores[1] == pytest.approx([0, 0, 0, np.log(1.6), 0], abs=1e-6)
    assert source.between(np.array([0, 2]), np.array([1, 3])) == pytest.approx(np.diag(np.log([1.2, 1.6])), abs=1e-6)


def test_pairs_below_chance_are_not_kept(visible, of):
    # a and b are in 3 of 4 baskets each and together in 2: 2 + 1 < 9 / 4 + 1
    scores = Lift(LiftConfig(shrinkage=1.0)).fit(visible("ab", "ab", "a", "b", n_items=2)).score(of("a", n_items=2))
    assert scores.tolist() == [[0, 0]]


def test_a_complement_is_found_for_what_nobody_bought(visible, of):
    # Axes: phone, case, tea. Items: phone a, case b, phone c (cold), case d (cold), tea e. Phones lie beside cases.
    vectors = np.eye(3, dtype=np.float32)[[0, 1, 0, 1, 2]] + 0.01 * np.arange(15, dtype=np.float32).reshape(5, 3) / 15
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shop = visible("ab", "ab", "e", n_items=5, vectors=vectors)
    source = Complement(ComplementConfig(pooling="mean", whitened=True, l2=1e-3)).fit(shop)
    scores = source.score(of("c", n_items=5))[0]
    assert scores[3] == max(scores[[0, 2, 3, 4]])  # the cold case completes the cold phone
    assert scores[3] > 0.5 > scores[2]  # another phone does not


@pytest.mark.parametrize("size", [1, 3, 10**9])
def test_the_projection_is_the_ridge_regression_of_the_rest_of_a_basket(visible, monkeypatch, size):
    """From the texts of all pairs of a basket, however many baskets are read at a time; d and e have one text."""
    monkeypatch.setattr(complement, "BASKETS", size)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 4)).astype(np.float32)
    vectors[4] = vectors[3]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    baskets = ["ab", "abc", "de", "bdef", "f", "ace", "cf"]
    shop = visible(*baskets, n_items=6, vectors=vectors)
    z = shop.whitened()
    gram, rest = np.zeros((4, 4)), np.zeros((4, 4))
    for basket in (["abcdef".index(item) for item in one] for one in baskets if len(one) > 1):
        for item in basket:
            gram += np.outer(z[item], z[item])
            rest += np.outer(z[item], np.mean([z[other] for other in basket if other != item], axis=0))
    expected = np.linalg.solve(gram + 0.1 * np.trace(gram) / 4 * np.eye(4), rest)
    np.testing.assert_allclose(Complement().fit(shop).projection, expected, atol=1e-5)


def test_without_baskets_of_two_texts_alone_speak(visible, of):
    vectors = np.eye(3, dtype=np.float32)
    source = Complement().fit(visible("a", "b", n_items=3, vectors=vectors))
    assert source.projection == pytest.approx(np.eye(3))
    assert source.score(of("", n_items=3)).tolist() == [[-1, -1, -1]]
