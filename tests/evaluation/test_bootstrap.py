"""Intervals hold what they promise."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from kuapin.errors import InputError
from kuapin.evaluation.bootstrap import (
    Interval,
    change_interval,
    difference_interval,
    interval,
    intervals,
    ratio_interval,
    ratio_over_launches,
)


def test_interval_of_the_mean_covers_95_in_100():
    """400 samples of 200 users with mean 2: the share of intervals that hold 2 is 95 % ± 3.5 %."""
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(400):
        values = rng.exponential(2.0, 200)
        estimate = interval(values, resamples=500, seed=trial)
        held += estimate.low <= 2.0 <= estimate.high
    assert 0.915 <= held / 400 <= 0.985


def test_ratio_interval_covers_95_in_100():
    """Sparse, correlated scores as rankings give them; the true ratio is 1.5."""
    rng = np.random.default_rng(1)
    held = 0
    for trial in range(400):
        ease = rng.random(600) < 0.4
        a = ease * rng.choice([0.0, 0.6, 0.9], 600)
        b = ease * rng.choice([0.0, 0.4, 0.6], 600)
        estimate = ratio_interval(a, b, resamples=500, seed=trial)
        held += estimate.low <= 1.5 <= estimate.high
    assert 0.915 <= held / 400 <= 0.985


def test_agrees_with_the_normal_interval_on_many_users():
    values = np.random.default_rng(2).normal(3, 1, 5_000)
    estimate = interval(values)
    half = 1.96 * values.std() / np.sqrt(5_000)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=half * 0.1)
    assert estimate.high == pytest.approx(values.mean() + half, abs=half * 0.1)


def test_pairing_makes_the_comparison_sharper():
    """A method that adds the same to every user is surely better, however different the users are."""
    users = np.random.default_rng(3).random(300)
    shuffled = np.random.default_rng(4).permutation(users)
    paired, unpaired = difference_interval(users + 0.01, users), difference_interval(users + 0.01, shuffled)
    assert paired.low == pytest.approx(0.01, abs=1e-9)
    assert paired.high == pytest.approx(0.01, abs=1e-9)
    assert unpaired.high - unpaired.low > 0.05


def test_pooling_five_copies_of_a_user_is_not_five_users():
    values = np.random.default_rng(5).random(200)
    once = interval(values)
    pooled = interval(np.tile(values, 5), clusters=np.tile(np.arange(200), 5))
    naive = interval(np.tile(values, 5))
    width = once.high - once.low
    assert pooled.high - pooled.low == pytest.approx(width, rel=0.1)
    assert naive.high - naive.low < 0.6 * width


def test_clusters_of_one_are_rows():
    a, b = np.random.default_rng(6).random((2, 300))
    rows, ones = ratio_interval(a, b), ratio_interval(a, b, clusters=np.arange(300))
    assert ones.value == rows.value
    assert ones.low == pytest.approx(rows.low, rel=0.02)
    assert ones.high == pytest.approx(rows.high, rel=0.02)


def test_ratio_is_of_means_not_a_mean_of_ratios():
    assert ratio_interval(np.array([1.0, 0.0, 3.0]), np.array([1.0, 1.0, 0.0])).value == 2.0


def test_ratio_to_nothing():
    zero, one = np.zeros(50), np.ones(50)
    assert ratio_interval(zero, zero) == Interval(1.0, 1.0, 1.0)
    assert ratio_interval(one, zero) == Interval(np.inf, np.inf, np.inf)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(7).random(100)
    assert interval(values, seed=1) == interval(values, seed=1)
    assert interval(values, seed=1) != interval(values, seed=2)


def test_undefined_users_are_left_out_of_both():
    a, b = np.array([1.0, np.nan, 3.0]), np.array([1.0, 5.0, 1.0])
    assert ratio_interval(a, b).value == 2.0
    assert np.isnan(interval(np.array([np.nan])).value)


def test_clusters_of_undefined_users_are_left_out_too():
    values = np.array([1.0, np.nan, 3.0, 3.0])
    estimate = interval(values, clusters=np.array([0, 1, 2, 2]))
    assert estimate.value == pytest.approx(7 / 3)
    assert (estimate.low, estimate.high) == (1.0, 3.0)


def test_vectors_of_different_users_are_refused():
    with pytest.raises(InputError, match="vectors of 3 and 4 came"):
        ratio_interval(np.zeros(3), np.zeros(4))


def test_over_launches_each_launch_has_one_weight():
    a = [np.full(1_000, 0.2), np.full(10, 0.4)]
    b = [np.full(1_000, 0.1), np.full(10, 0.1)]
    assert ratio_over_launches(a, b).value == pytest.approx(3.0)


def test_over_launches_holds_the_difference_between_categories():
    """Launches that truly differ: the interval over them is wide, although each is known exactly."""
    rng = np.random.default_rng(8)
    gains = rng.uniform(0.5, 2.5, 12)
    a, b = [np.full(500, 0.1 * gain) for gain in gains], [np.full(500, 0.1)] * 12
    estimate = ratio_over_launches(a, b)
    half = 1.96 * gains.std() / np.sqrt(12)
    assert estimate.value == pytest.approx(gains.mean())
    assert estimate.high - estimate.low == pytest.approx(2 * half, rel=0.15)


def test_over_launches_holds_the_uncertainty_about_users_too():
    rng = np.random.default_rng(9)
    a = [rng.exponential(1.0, 50) for _ in range(10)]
    b = [np.ones(50)] * 10
    estimate = ratio_over_launches(a, b)
    means = np.array([x.mean() for x in a])
    between_only = 2 * 1.96 * means.std() / np.sqrt(10)
    assert estimate.high - estimate.low > 1.2 * between_only


def test_over_one_launch_is_over_its_users():
    values, ones = np.random.default_rng(10).exponential(1.0, 400), np.ones(400)
    over, users = ratio_over_launches([values], [ones]), ratio_interval(values, ones)
    assert over.value == pytest.approx(users.value)
    assert over.high - over.low == pytest.approx(users.high - users.low, rel=0.1)


def test_over_launches_needs_the_same_launches():
    with pytest.raises(InputError, match="same launches; 1 and 2 came"):
        ratio_over_launches([np.ones(3)], [np.ones(3)] * 2)


def test_many_columns_at_once_agree_with_one_at_a_time():
    rng = np.random.default_rng(11)
    values = np.column_stack([rng.exponential(1.0, 300), rng.normal(5, 2, 300)])
    clusters = rng.integers(0, 120, 300)
    for estimate, column in zip(intervals(values, clusters=clusters), values.T, strict=True):
        alone = interval(column, clusters=clusters)
        assert estimate.value == pytest.approx(alone.value)
        assert estimate.high - estimate.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_a_column_is_the_same_whatever_stands_beside_it_and_undefined_values_are_left_out():
    values = np.column_stack([np.arange(6.0), [1.0, np.nan, 3.0, np.nan, np.nan, 5.0]])
    both, alone = intervals(values), intervals(values[:, :1])
    assert both[0] == alone[0]
    assert both[1].value == pytest.approx(3.0)
    assert 1 <= both[1].low <= both[1].high <= 5
    assert [np.isnan(one.value) for one in intervals(np.empty((0, 2)))] == [True, True]


def test_the_change_of_a_figure_out_of_means_is_paired():
    """√mean of squares: 2 and 1 where all are alike; what is alike in both cancels out."""
    first, second = np.full((50, 1), 4.0), np.full((50, 1), 1.0)
    assert change_interval(first, second, lambda means: np.sqrt(means[:, 0])) == Interval(1.0, 1.0, 1.0)
    counts = np.random.default_rng(3).poisson(3.0, (200, 2)).astype(float)
    same = change_interval(counts, counts, lambda means: means[:, 0] / means[:, 1])
    assert (same.value, same.low, same.high) == (0, 0, 0)
    mean = change_interval(counts[:, :1], counts[:, 1:], lambda means: means[:, 0])
    assert mean == difference_interval(counts[:, 0], counts[:, 1])


def ratio_of(means):
    return means[:, 0] / means[:, 1]


@pytest.mark.parametrize("clusters", [None, np.arange(300) // 3])
def test_sparse_counts_give_the_same_interval(clusters):
    rng = np.random.default_rng(3)
    a, b = (np.column_stack([rng.binomial(1, share, 300), np.ones(300)]).astype(float) for share in (0.3, 0.5))
    dense = change_interval(a, b, ratio_of, clusters=clusters, resamples=20_000)
    thin = change_interval(*map(sparse.csr_array, (a, b)), ratio_of, clusters=clusters, resamples=20_000)
    assert thin.value == pytest.approx(dense.value)
    assert (thin.low, thin.high) == pytest.approx((dense.low, dense.high), abs=0.01)
    nothing = sparse.csr_array((0, 2))
    assert np.isnan(change_interval(nothing, nothing, ratio_of).low)


def test_thousands_of_labels_take_little_memory():
    """20,000 rows by 4,000 columns would be 640 MB dense, both sides twice that."""
    rows = np.arange(20_000)
    one, other = (sparse.csr_array((np.ones(20_000), (rows, rows % m)), shape=(20_000, 4_000)) for m in (4_000, 3_999))
    tracemalloc.start()
    found = change_interval(one, other, lambda means: (means > 0).mean(axis=1), resamples=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    assert found.value == pytest.approx(1 / 4_000)
