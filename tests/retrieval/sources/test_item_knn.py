from dataclasses import replace

import numpy as np
import pytest

from kuapin.retrieval.sources import item_knn
from kuapin.retrieval.sources.item_knn import ItemKnn, ItemKnnConfig


def test_similarity_by_hand(visible, of):
    # Users of a: 3, b: 2, c: 1. Together: ab 2, ac 1, bc 0.
    shop = visible("ab", "ba", "aac", "d", n_items=5)
    source = ItemKnn(ItemKnnConfig(shrinkage=5)).fit(shop)
    ab, ac = 2 / np.sqrt(8 * 7), 1 / np.sqrt(8 * 6)
    np.testing.assert_allclose(
        source.score(of("a", "bc", "d", n_items=5)),
        [[0, ab, ac, 0, 0], [ab + ac, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
        rtol=1e-6,
    )


def test_of_an_opening_those_alone_count_who_have_been_there(visible, of):
    # c opens. Of its users a has 2 (not 3), c 2, together 2; who never came to c says nothing about it.
    shop = replace(visible("ac", "ac", "ab", n_items=3), opening=np.array([2], np.int32))
    scores = ItemKnn(ItemKnnConfig(shrinkage=5)).fit(shop).score(of("a", "b", n_items=3))
    np.testing.assert_allclose(scores, [[0, 0, 2 / np.sqrt(7 * 7)], [0, 0, 0]], rtol=1e-6)


def test_of_an_opening_nothing_else_takes_up_room(visible, of):
    # c opens. Were a and b kept beside c, one neighbour a row would be the other of the two.
    shop = replace(visible("abc", "abc", "ab", "ab", n_items=3), opening=np.array([2], np.int32))
    similarity = ItemKnn(ItemKnnConfig(neighbours=1)).fit(shop).similarity
    assert np.diff(similarity.indptr).tolist() == [1, 1, 0]
    np.testing.assert_allclose(similarity.toarray()[:2, 2], 2 / np.sqrt(7 * 7), rtol=1e-6)


def test_only_the_nearest_neighbours_stay(visible, of):
    shop = visible("ab", "ab", "ac", "ad", n_items=4)
    scores = ItemKnn(ItemKnnConfig(neighbours=1, shrinkage=0)).fit(shop).score(of("a", "c", n_items=4))
    # a keeps b; c keeps a although a does not keep c.
    np.testing.assert_allclose(scores, [[0, 2 / np.sqrt(8), 0, 0], [1 / 2, 0, 0, 0]], rtol=1e-6)


def test_a_large_shop_is_cut_to_size(visible, of):
    # Rows, users in common counted twice: a 4 users × 2 items = 8 but at most 4, b 4, c 2, d 2.
    matrix = of("ab", "ab", "ac", "ad", n_items=4).matrix()
    assert [item_knn.row_limit(matrix, pairs) for pairs in (12, 11, 10, 9, 8, 7, 1)] == [4, 3, 3, 2, 2, 1, 1]
    shop = visible("ab", "ab", "ac", "ad", n_items=4)
    whole = ItemKnn().fit(shop).similarity
    assert whole.nnz == 6
    cut = ItemKnn(ItemKnnConfig(max_pairs=7)).fit(shop).similarity
    assert np.diff(cut.indptr).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("block", [1, 7, 10**9])
def test_a_launch_is_a_block_of_the_whole(visible, of, monkeypatch, block):
    """Source → target by the formula of the reference baselines: diag(cA + 5)^-½ · AᵀB · diag(cB + 5)^-½."""
    monkeypatch.setattr(item_knn, "BLOCK_PAIRS", block)
    users = ["aceg", "abf", "bdfh", "aegh", "cdh", "af"]
    shop = visible(*users, n_items=8)
    matrix = shop.histories.matrix().toarray()
    old, new = matrix[:, :4], matrix[:, 4:]
    expected = (old.T @ new) / np.sqrt(np.outer(old.sum(0) + 5, new.sum(0) + 5))
    scores = ItemKnn().fit(shop).score(of("a", "bd", n_items=8), np.arange(4, 8))
    np.testing.assert_allclose(scores, [expected[0], expected[1] + expected[3]], rtol=1e-6)


def test_checkerboard(checkerboard):
    top = ItemKnn().fit(checkerboard).top(checkerboard.histories, 5)
    scores = ItemKnn().fit(checkerboard).score(checkerboard.histories)
    assert scores.argmax(axis=1).tolist() == list(range(10))
    for user in range(10):
        items = top.items[top.indptr[user] : top.indptr[user + 1]]
        assert items[0] == user
        assert (items % 2 == user % 2).all()
