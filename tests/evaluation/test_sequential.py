"""Looked at after every person: the interval holds at all looks, and the drawing of groups is watched."""

import numpy as np
import pytest

from kuapin.evaluation.sequential import confidence_sequence, mismatch


def test_a_small_case_by_hand():
    """Share 1/2: scores 2 (y=1, nobody before), then -(0 - 0)/½ + 1 - 0 = 1, then 1 - 0 + 2(0 - 1) = -1."""
    found = confidence_sequence(np.array([True, False, True]), np.array([1, 0, 0]), 0.5, 0.05, 10)
    assert found.effect == pytest.approx([2, 3 / 2, 2 / 3])
    assert found.high[0] == np.inf
    rho2 = (2 * np.log(20) + np.log(1 + 2 * np.log(20))) / 10
    spread = (4 + 1 + 1) / 3 - (2 / 3) ** 2
    reach = np.sqrt(2 * (3 * rho2 + 1) / (9 * rho2) * np.log(np.sqrt(3 * rho2 + 1) / 0.05) * spread)
    assert (found.low[2], found.high[2]) == pytest.approx((2 / 3 - reach, 2 / 3 + reach))


@pytest.mark.parametrize(("rate", "share"), [(0.03, 0.5), (0.1, 0.2)])
def test_equal_groups_are_called_different_at_no_look_more_often_than_agreed(rate, share):
    """Fixed intervals looked at as often are wrong in about every third run; these in at most one of twenty."""
    rng, wrong, fixed, runs, n = np.random.default_rng(4), 0, 0, 200, 8_000
    for _ in range(runs):
        treated, y = rng.random(n) < share, (rng.random(n) < rate).astype(float)
        found = confidence_sequence(treated, y, share, 0.05, 10_000)
        count = np.arange(1, n + 1)
        enough = np.minimum(np.cumsum(treated), np.cumsum(~treated)) * (np.cumsum(y) / count) >= 20
        wrong += bool(((found.low > 0) | (found.high < 0))[enough].any())
        error = (found.high - found.low)[1:] / 2
        rho2 = (2 * np.log(20) + np.log(1 + 2 * np.log(20))) / 10_000
        k = count[1:]
        error /= np.sqrt((k * rho2 + 1) / (k * rho2) * np.log((k * rho2 + 1) / 0.0025))
        fixed += bool((np.abs(found.effect[1:]) > 1.96 * error)[enough[1:]].any())
    assert wrong / runs <= 0.08  # 0.05 and two and a half standard errors of so many runs
    assert fixed / runs > 0.2


def test_a_difference_is_found_and_is_inside():
    rng = np.random.default_rng(1)
    treated = rng.random(20_000) < 0.5
    y = rng.random(20_000) < np.where(treated, 0.13, 0.10)
    found = confidence_sequence(treated, y, 0.5, 0.05, 10_000)
    assert found.low[-1] > 0
    assert ((found.low <= 0.03) & (found.high >= 0.03))[400:].all()
    assert found.effect[-1] == pytest.approx(y[treated].mean() - y[~treated].mean(), abs=0.002)


def test_groups_that_were_not_drawn_so_are_seen():
    """One person of one: B(2, 1) / 0.5 = 1; two of two: B(3, 1) / 0.25 = 4 / 3."""
    assert (mismatch(0, 0, 0.5), mismatch(1, 1, 0.5)) == pytest.approx((1, 1))
    assert mismatch(2, 2, 0.5) == pytest.approx(4 / 3)
    assert mismatch(500, 1000, 0.5) < 1
    assert mismatch(420, 1000, 0.5) > 1000
    assert mismatch(100_000, 100_000, 0.01) > 1e300
