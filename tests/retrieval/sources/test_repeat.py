import numpy as np

from kuapin.retrieval.sources.repeat import Repeat


def test_frequency_first_then_recency(of):
    #                  place 1 2 3 4 5: b and c were met twice, c last; a and d once, d last
    scores = Repeat().score(of("bcabcd", "", n_items=5))
    np.testing.assert_allclose(
        scores, [[1 + 3 / 12, 2 + 4 / 12, 2 + 5 / 12, 1 + 6 / 12, 0], [0, 0, 0, 0, 0]], rtol=1e-6
    )
    assert scores[0].argsort().tolist()[::-1] == [2, 1, 3, 0, 4]


def test_items_never_met_are_not_proposed(of):
    top = Repeat().top(of("bcb", "", "a", n_items=5), 10)
    assert top.items.tolist() == [1, 2, 0]
    assert top.indptr.tolist() == [0, 2, 2, 3]


def test_recency_never_outweighs_frequency(of):
    long = "a" * 300 + "b" * 299
    assert Repeat().top(of(long, n_items=2), 1).items.tolist() == [0]
