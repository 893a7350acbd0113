import numpy as np
import pytest

from kuapin.retrieval.sources.popularity import DecayedPopularity, Popularity, PopularityConfig, RecentPopularity

TIE = 1 / 64


def test_counts_distinct_users(visible, of):
    source = Popularity().fit(visible("aaab", "ab", "a", n_items=3))
    scores = source.score(of("", "c", n_items=3))
    assert scores[0, 0] == pytest.approx(3, abs=TIE)
    assert scores[0, 1] == pytest.approx(2, abs=TIE)
    assert scores[0, 2] == 0
    np.testing.assert_array_equal(scores[0], scores[1])
    assert source.top(of("", "c", n_items=3), 5).items.tolist() == [0, 1, 0, 1]


def test_the_window_ends_now(visible, of):
    # Days: a 0, b 1, c 2, a 3. Seen from day 4, two days back: c and the second a.
    shop = visible("abca", "a", n_items=3, now=4)
    source = RecentPopularity(PopularityConfig(window_days=2)).fit(shop)
    assert source.score(of("", n_items=3))[0].round().tolist() == [1, 0, 1]


def test_a_user_counts_half_after_the_half_life(visible, of):
    shop = visible("ab", "a", n_items=3, now=11)  # a at day 0 by both, b at day 1
    source = DecayedPopularity(PopularityConfig(half_life_days=10)).fit(shop)
    scores = source.score(of("", n_items=3))[0]
    assert scores[0] == pytest.approx(2 * 2 ** (-11 / 10), rel=TIE)
    assert scores[1] == pytest.approx(0.5, rel=TIE)
    assert scores[2] == 0


def test_the_last_meeting_sets_the_age(visible, of):
    shop = visible("aba", n_items=2, now=2)
    source = DecayedPopularity(PopularityConfig(half_life_days=1)).fit(shop)
    assert source.score(of("", n_items=2))[0] == pytest.approx([1, 0.5], rel=TIE)


@pytest.mark.parametrize("kind", [RecentPopularity, DecayedPopularity])
def test_without_times_all_time_counts(visible, of, kind):
    shop = visible("ab", "a", n_items=3, now=1_000, timed=False)
    np.testing.assert_array_equal(
        kind().fit(shop).score(of("", n_items=3)), Popularity().fit(shop).score(of("", n_items=3))
    )


def test_ties_follow_neither_the_rows_nor_the_ids(visible, of):
    orders = set()
    for seed in range(20):
        source = Popularity(PopularityConfig(seed=seed)).fit(visible("abcd", n_items=4))
        orders.add(tuple(source.top(of("", n_items=4), 4).items.tolist()))
        assert source.score(of("", n_items=4)).min() >= 1
        assert source.score(of("", n_items=4)).max() < 1 + TIE
    assert len(orders) > 8


def test_a_tie_break_belongs_to_the_item_not_to_its_row(visible, of):
    small, large = visible("abc", n_items=3), visible("abc", n_items=20)
    np.testing.assert_array_equal(
        Popularity().fit(small).score(of("", n_items=3))[0], Popularity().fit(large).score(of("", n_items=20))[0, :3]
    )
