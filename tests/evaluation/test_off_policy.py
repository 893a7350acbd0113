"""Estimates of another policy, by hand and on simulated logs whose true value is known."""

import numpy as np
import pytest

from kuapin.errors import InputError
from kuapin.evaluation.off_policy import off_policy


def test_by_hand():
    reward, propensity = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.5, 0.5, 0.25, 0.8])
    target = np.array([1.0, 0.0, 0.5, 0.4])
    expected, expected_new = np.array([0.5, 0.5, 0.5, 0.25]), np.array([0.6, 0.2, 0.5, 0.3])
    found = off_policy(reward, propensity, target, expected, expected_new)
    # w = 2, 0, 2, .5; w·r = 2, 0, 2, 0; w·(r - q) = 1, 0, 1, -.125
    assert found.ips.value == pytest.approx(1.0)
    assert found.snips.value == pytest.approx(4 / 4.5)
    assert found.dr.value == pytest.approx((1.6 + 0.2 + 1.5 + 0.175) / 4)
    assert found.covered.value == pytest.approx(4.5 / 4)
    assert found.effective == pytest.approx(4.5**2 / 8.25)
    assert found.logged.value == 0.5


def test_bad_propensities_are_refused():
    one = np.ones(1)
    with pytest.raises(InputError, match="0 came"):
        off_policy(one, np.zeros(1), one, one, one)
    with pytest.raises(InputError, match="no choices"):
        off_policy(*[np.empty(0)] * 5)


def simulated(rng, n, users):
    """A log of n choices among 5 items; items differ, users differ, and the log's policy likes the better ones."""
    user = rng.integers(0, users, n)
    worth = np.array([0.05, 0.1, 0.2, 0.3, 0.1])
    taste = rng.uniform(0.6, 1.4, users)
    logged = np.array([0.4, 0.25, 0.15, 0.1, 0.1])
    action = rng.choice(5, n, p=logged)
    reward = (rng.random(n) < worth[action] * taste[user]).astype(float)
    return user, action, reward, logged, worth, float(taste[user].mean())


@pytest.mark.parametrize("model", ["good", "wrong"])
def test_intervals_cover_the_truth(model):
    new, covered, widths = np.array([0.05, 0.05, 0.2, 0.6, 0.1]), {"ips": 0, "snips": 0, "dr": 0}, {}
    repetitions = 200
    for seed in range(repetitions):
        user, action, reward, logged, worth, _ = simulated(np.random.default_rng(seed), 1500, 300)
        q = worth if model == "good" else worth[::-1] * 2
        found = off_policy(
            reward, logged[action], new[action], q[action], np.full(1500, new @ q), clusters=user, resamples=400
        )
        for name in covered:
            one = getattr(found, name)
            covered[name] += one.low <= new @ worth <= one.high
            widths[name] = widths.get(name, 0) + one.high - one.low
    # 200 repetitions of a 95 % interval: ± 3 standard errors is .90 to 1; percentile intervals run a little short
    assert all(share / repetitions >= 0.89 for share in covered.values()), covered
    assert all(share / repetitions <= 0.99 for share in covered.values()), covered
    if model == "good":
        assert widths["dr"] < widths["ips"]


def test_who_forgets_the_weights_is_wrong():
    new, off = np.array([0.05, 0.05, 0.2, 0.6, 0.1]), 0
    for seed in range(20):
        user, action, reward, _, worth, _ = simulated(np.random.default_rng(seed), 1500, 300)
        found = off_policy(
            reward,
            np.ones(1500),
            np.ones(1500),
            worth[action],
            np.full(1500, new @ worth),
            clusters=user,
            resamples=200,
        )
        off += not found.ips.low <= new @ worth <= found.ips.high
    assert off == 20
