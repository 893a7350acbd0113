from dataclasses import replace

import numpy as np

from kuapin.retrieval.sources.repeat import Due, FadingConfig, FadingRepeat, LatestRepeat, Repeat


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


def test_equal_items_keep_the_order_of_their_rows_under_a_filter(of, visible):
    """All on one day: the half-lives cannot tell them apart."""
    source = FadingRepeat().fit(visible("", n_items=6, now=2))
    met = replace(of("fdbeca", n_items=6), times=np.zeros(6, np.int64))
    assert source.top(met, 3).items.tolist() == [0, 1, 2]
    assert source.top(met, 3, np.array([1, 3, 4, 5])).items.tolist() == [1, 3, 4]


def test_faded_counts_of_three_purchases(of, visible):
    #                                       a on day 0, b on day 1, a on day 2; now is day 4
    source = FadingRepeat(FadingConfig(half_life_days=2)).fit(visible("", n_items=3, now=4))
    scores = source.score(of("aba", n_items=3))
    np.testing.assert_allclose(scores, [[2**-2 + 2**-1, 2**-1.5, 0]], rtol=1e-6)


def test_the_latest_count_half_after_a_week(of, visible):
    scores = LatestRepeat().fit(visible("", n_items=3, now=9)).score(of("aab", n_items=3))
    np.testing.assert_allclose(scores, [[2 ** (-9 / 7) + 2 ** (-8 / 7), 2**-1, 0]], rtol=1e-6)


def test_an_item_is_due_by_its_usual_gap(of, visible):
    """Item a on the days 0, 2 and 6, three days between on average, is 6 days ago on day 12; b was met once."""
    source = Due().fit(visible("", n_items=3, now=12))
    np.testing.assert_allclose(source.score(of("abaccca", n_items=3))[0, :2], [6 / 3, 0], rtol=1e-6)


def test_the_present_is_the_users_own_where_he_came_after_the_training(of, visible):
    """Trained on day 1; the first user came until day 4, the second was last seen on day 1."""
    histories = of("abbba", "ab", n_items=2)
    fading = FadingRepeat(FadingConfig(half_life_days=1)).fit(visible("", n_items=2, now=1))
    np.testing.assert_allclose(fading.score(histories), [[2**-4 + 1, 2**-3 + 2**-2 + 2**-1], [2**-1, 1]], rtol=1e-6)
    due = Due().fit(visible("", n_items=2, now=1)).score(histories)
    np.testing.assert_allclose(due, [[1e-3, 1 / 1], [0, 0]], rtol=1e-6)
