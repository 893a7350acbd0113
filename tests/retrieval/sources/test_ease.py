import numpy as np

from kuapin.retrieval.sources.ease import Ease, EaseConfig


def test_two_items_by_hand(visible, of):
    # Gram [[2, 1], [1, 1]] + 1·I = [[3, 1], [1, 2]], its inverse [[2, -1], [-1, 3]] / 5:
    # B[a, b] = 1 / 3 (column b is divided by P[b, b] = 3 / 5), B[b, a] = 1 / 2.
    source = Ease(EaseConfig(l2=1)).fit(visible("ab", "a", n_items=3))
    np.testing.assert_allclose(
        source.score(of("a", "b", "c", n_items=3)), [[0, 1 / 3, 0], [1 / 2, 0, 0], [0, 0, 0]], rtol=1e-6
    )


def test_it_solves_the_ridge_regressions(visible, of):
    """Every column of B is the ridge regression of one item on all others (Steck 2019, equation 4)."""
    shop = visible("abc", "abd", "bcd", "ad", "e", "bce", n_items=5)
    matrix = shop.histories.matrix().toarray().astype(float)
    weights = Ease(EaseConfig(l2=2)).fit(shop).score(of("a", "b", "c", "d", "e", n_items=5))
    for item in range(5):
        others = np.delete(np.arange(5), item)
        x = matrix[:, others]
        expected = np.linalg.solve(x.T @ x + 2 * np.eye(4), x.T @ matrix[:, item])
        np.testing.assert_allclose(weights[others, item], expected, rtol=1e-4, atol=1e-6)
        assert weights[item, item] == 0


def test_only_the_most_frequent_items_take_part(visible, of):
    shop = visible("abc", "ab", "ab", "cd", n_items=4)
    scores = Ease(EaseConfig(l2=1, max_items=2)).fit(shop).score(of("abcd", n_items=4))
    assert (scores[0, :2] > 0).all()
    assert (scores[0, 2:] == 0).all()


def test_checkerboard(checkerboard):
    source = Ease(EaseConfig(l2=1)).fit(checkerboard)
    assert source.score(checkerboard.histories).argmax(axis=1).tolist() == list(range(10))
