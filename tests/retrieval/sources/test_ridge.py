from dataclasses import replace

import numpy as np
import pytest

from kuapin.retrieval.sources.ridge import Ridge, RidgeConfig

NO_TEXT = RidgeConfig(l2=0.5, text_weight=0.0, embedding_size=8)


def opening(shop, *items):
    return replace(shop, opening=np.array(items, np.int32))


def test_by_hand(visible, of):
    """Features of four users of a and b: e_a, e_a, e_b, (e_a + e_b) / √2; c and d open; L2 0.5 (mean length 1)."""
    shop = opening(visible("ac", "acd", "bd", "abd", "a", "c", n_items=4), 2, 3)
    scores = Ridge(NO_TEXT).fit(shop).score(of("a", "b", "ab", n_items=4))
    phi = np.array([[1, 0], [1, 0], [0, 1], [0.5**0.5, 0.5**0.5]])
    met = np.array([[1, 0], [1, 1], [0, 1], [0, 1]])
    weights = np.linalg.solve(phi.T @ phi + 0.5 * np.eye(2), phi.T @ met)
    expected = np.array([[1, 0], [0, 1], [0.5**0.5, 0.5**0.5]]) @ weights / met.mean()
    np.testing.assert_allclose(scores[:, 2:], expected, rtol=1e-4)
    assert not scores[:, :2].any()


def test_what_a_user_did_in_the_opening_is_no_input(visible, of):
    source = Ridge(NO_TEXT).fit(opening(visible("ac", "bd", "abd", n_items=4), 2, 3))
    np.testing.assert_array_equal(*source.score(of("a", "acd", n_items=4)))


def test_a_text_speaks_for_an_item_that_nobody_met(visible, of):
    """e reads like a, whose users take c; f reads like b, whose users take d."""
    vectors = np.eye(6, 3, dtype=np.float32)
    vectors[4], vectors[5] = vectors[0], vectors[1]
    shop = opening(visible("ac", "ac", "bd", "bd", n_items=6, vectors=vectors), 2, 3)
    scores = (
        Ridge(RidgeConfig(l2=0.1, text_weight=1.0)).fit(replace(shop, white=vectors)).score(of("e", "f", n_items=6))
    )
    assert scores[0, 2] > scores[0, 3] + 0.1
    assert scores[1, 3] > scores[1, 2] + 0.1


def test_the_rank_keeps_the_largest_directions(visible, of):
    users = ["ac"] * 6 + ["bd"] * 3
    full, cut = (
        Ridge(NO_TEXT.model_copy(update={"embedding_size": size}))
        .fit(opening(visible(*users, n_items=4), 2, 3))
        .score(of("a", "b", n_items=4))
        for size in (8, 1)
    )
    np.testing.assert_allclose(cut[0], full[0], atol=1e-4)
    assert full[1, 3] > 1
    assert abs(cut[1, 3]) < 1e-4


@pytest.mark.parametrize("most", [2, 5])
def test_a_sample_of_many_users(visible, of, most):
    shop = opening(visible(*["ac", "bd"] * 20, n_items=4), 2, 3)
    config = NO_TEXT.model_copy(update={"max_users": most})
    one, same = (Ridge(config).fit(shop).score(of("a", n_items=4)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert np.isfinite(one).all()


def test_nobody_on_both_sides(visible, of):
    source = Ridge(NO_TEXT).fit(opening(visible("ab", "c", n_items=4), 2, 3))
    assert not source.score(of("a", n_items=4)).any()
