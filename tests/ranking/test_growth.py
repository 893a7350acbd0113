import numpy as np
import pytest

from kuapin.data.histories import from_interactions
from kuapin.ranking.growth import WEEK, Growth, GrowthConfig, estimate, weekly

CONFIG = GrowthConfig(shrinkage=1.0)
NONE = np.zeros(1, np.int64)


def test_weeks_are_counted_back_from_now():
    times = np.array([0, WEEK - 1, WEEK, 3 * WEEK - 1, 3 * WEEK])
    items = np.array([0, 1, 0, 0, 0])
    histories = from_interactions(
        np.zeros(5, int), items, times, np.zeros(5, np.uint8), n_users=1, n_items=2, timed=True
    )
    assert weekly(histories, 3 * WEEK).tolist() == [[1, 1, 1], [1, 0, 0]]  # what comes later is not counted
    assert weekly(histories, 3 * WEEK, np.array([-1, 0])).tolist() == [[1, 0, 0]]


def test_what_is_older_than_two_years_is_not_counted():
    times = np.array([0, 1896 * WEEK, 1999 * WEEK])
    histories = from_interactions(
        np.zeros(3, int), np.zeros(3, int), times, np.zeros(3, np.uint8), n_users=1, n_items=1, timed=True
    )
    assert weekly(histories, 2000 * WEEK).tolist() == [[1] + [0] * 102 + [1]]
    assert weekly(histories, 4000 * WEEK).shape == (1, 0)


def counts(*rows):
    return np.array(rows, np.float32)


def test_growth_by_hand():
    # Ten a week, then 40 in two weeks: a trend beside a steady shop, but alone in its category it may be the season.
    grows, steady = [10.0] * 10 + [20, 20], [990.0] * 10 + [980, 980]
    found = estimate(counts(grows, steady), np.array([0, 0]), CONFIG)
    assert found.growth[0] == pytest.approx(np.log(41 / 21), abs=1e-6)
    assert found.growth[1] == pytest.approx(np.log(1961 / 1981), abs=1e-6)
    assert found.low[0] > 0 > found.low[1]
    alone = estimate(counts(grows, steady), np.array([0, 1]), CONFIG)
    assert alone.growth[0] < found.growth[0] / 3


def test_few_events_say_little():
    few, many = [0.0] * 10 + [1, 1], [0.0] * 10 + [50, 50]
    found = estimate(counts(few, many, [1000.0] * 12), np.zeros(3, int), CONFIG)
    assert found.low[0] < 0 < found.low[1]
    assert found.growth[0] < found.growth[1]


def test_since_is_where_the_excess_began():
    rows = counts([10.0] * 9 + [30, 30, 30], [10.0] * 12, [10.0] * 11 + [40])
    found = estimate(rows, np.array([0, 1, 2]), GrowthConfig(recent=3))
    assert found.since.tolist()[1:] == [0, 1]
    steady = estimate(np.vstack([rows, np.full((1, 12), 5000, np.float32)]), np.zeros(4, int), GrowthConfig(recent=3))
    assert steady.since.tolist() == [3, 0, 1, 0]


def test_a_log_too_short_has_no_growth():
    found = estimate(counts([3.0, 4.0]), NONE, GrowthConfig(recent=2))
    assert (found.growth.tolist(), found.since.tolist()) == ([0], [0])


@pytest.fixture(scope="module")
def seasonal():
    """Items that sell in every other fortnight: who sold in none of the last two weeks will sell in the next."""
    rng = np.random.default_rng(0)
    phase = rng.integers(0, 4, 400)
    wave = (np.arange(40)[None] + phase[:, None]) % 4 < 2
    return rng.poisson(np.where(wave, 12, 1)).astype(np.float32)


def test_it_foretells_what_the_last_growth_gets_wrong(seasonal):
    parent = np.zeros(400, np.int64)
    growth = Growth.fit(seasonal[:, :-1], parent)
    sure = growth.probability(seasonal[:, :-1], parent)
    grew = seasonal[:, -1] > seasonal[:, -5:-1].mean(axis=1)
    named = np.argsort(-np.nan_to_num(sure))[:100]
    assert grew[named].mean() > 0.9
    last = seasonal[:, -2] - seasonal[:, -3]
    assert grew[np.argsort(-last)[:100]].mean() < grew[named].mean()


def test_it_sees_nothing_of_the_week_it_foretells(seasonal):
    other = seasonal.copy()
    other[:, -1] = 0
    parent = np.zeros(400, np.int64)
    one, two = Growth.fit(seasonal[:, :-1], parent), Growth.fit(other[:, :-1], parent)
    assert one.forest.model_to_string() == two.forest.model_to_string()


def test_restored_it_foretells_the_same(seasonal, tmp_path):
    parent = np.zeros(400, np.int64)
    growth = Growth.fit(seasonal, parent)
    growth.save(tmp_path)
    assert Growth.load(tmp_path).probability(seasonal, parent) == pytest.approx(growth.probability(seasonal, parent))


def test_a_short_log_is_estimated(tmp_path):
    growth = Growth.fit(counts([1.0, 1, 1, 1, 9], [5.0] * 5), np.zeros(2, int))
    assert growth.forest is None
    growth.save(tmp_path)
    sure = Growth.load(tmp_path).probability(counts([1.0, 1, 1, 1, 9], [0.0] * 5), np.zeros(2, int))
    assert sure[0] > 0.5
    assert np.isnan(sure[1])
