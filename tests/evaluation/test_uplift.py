import numpy as np
import pytest

from kuapin.evaluation.uplift import effect_on_treated, match


@pytest.fixture
def confounded():
    """Who buys much is treated more often; the treatment adds 1, buying adds 3."""
    rng = np.random.default_rng(0)
    buys = rng.normal(size=4000)
    treated = rng.random(4000) < 1 / (1 + np.exp(-buys))
    return buys, treated, 3 * buys + treated + 10


def test_the_effect_is_found_where_the_plain_difference_misleads(confounded):
    buys, treated, outcome = confounded
    assert outcome[treated].mean() - outcome[~treated].mean() > 3
    matched = match(treated, buys[:, None])
    with_, without = effect_on_treated(matched, outcome)
    assert with_ - without == pytest.approx(1.0, abs=0.15)


def test_weights_balance_what_was_out_of_balance(confounded):
    buys, treated, _ = confounded
    matched = match(treated, buys[:, None])
    assert abs(matched.before[0]) > 0.7
    assert abs(matched.after[0]) < 0.05
    assert matched.overlap > 0.95


def test_who_has_nobody_to_be_compared_with_is_left_out():
    x = np.concatenate([np.zeros(500), np.full(50, 8.0)])
    treated = np.concatenate([np.arange(500) % 2 == 0, np.ones(50, bool)])
    matched = match(treated, x[:, None])
    assert (matched.weight[500:] == 0).all()
    assert matched.overlap == pytest.approx(250 / 300)
