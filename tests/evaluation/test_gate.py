"""The gate: figures worked out by hand, and how often it errs, by simulation."""

import numpy as np
import pytest
from scipy import stats

from kuapin.evaluation.gate import GateConfig, Paired, Verdict, judge

ALONE = GateConfig(margin=0.1, level=0.05, least_users=4, trust=0)
FIRST_LOOK = 0.05 * 6 / np.pi**2


def test_one_category_by_hand():
    champion, challenger = np.array([1.0, 0.5, 0.0, 0.6]), np.array([1.0, 0.4, 0.2, 0.6])
    (verdict,) = judge({"Home": Paired(champion, challenger)}, ALONE)
    # challenger - 0.9 champion, and one more who had a usual hit (0.7) and lost it
    shifted = np.array([0.1, -0.05, 0.2, 0.06, -0.63])
    error = shifted.std(ddof=1) / np.sqrt(5)
    assert (verdict.champion, verdict.challenger) == pytest.approx((0.525, 0.55))
    assert verdict.change == pytest.approx(0.55 / 0.525 - 1)
    assert verdict.p == pytest.approx(stats.t.sf(shifted.mean() / error, 4))
    assert verdict.level == pytest.approx(FIRST_LOOK)
    reach = stats.t.isf(FIRST_LOOK, 4) * error
    assert verdict.least == pytest.approx((shifted.mean() - reach) / 0.525 - 0.1)
    assert verdict.visible == pytest.approx((reach + 0.8416212 * error) / 0.525)
    assert verdict.decision == "undecided"
    many = judge({"Home": Paired(np.tile(champion, 50), np.tile(challenger, 50))}, ALONE)[0]
    shifted = np.append(np.tile(shifted[:4], 50), -0.63)
    t = shifted.mean() / (shifted.std(ddof=1) / np.sqrt(201))
    assert many.p == pytest.approx(stats.t.sf(t, 200))
    assert many.decision == "passes"


def test_the_interval_of_a_change_is_that_of_the_paired_users():
    rng = np.random.default_rng(5)
    champion = rng.random(400)
    challenger = 0.9 * champion + 0.02 * rng.standard_normal(400)
    (paired,) = judge({"A": Paired(champion, challenger)}, GateConfig())
    (mixed,) = judge({"A": Paired(champion, rng.permutation(challenger))}, GateConfig())
    assert paired.low < paired.change < paired.high
    assert paired.change == pytest.approx(-0.1, abs=0.01)
    drawn = rng.integers(0, 400, (4_000, 400))
    ratios = challenger[drawn].mean(axis=1) / champion[drawn].mean(axis=1) - 1
    assert (paired.low, paired.high) == pytest.approx(tuple(np.quantile(ratios, [0.025, 0.975])), abs=3e-4)
    assert mixed.high - mixed.low > 10 * (paired.high - paired.low)
    few, nobody, nothing = judge(
        {
            "few": Paired(champion[:9], challenger[:9]),
            "one": Paired(champion[:1], challenger[:1]),
            "nothing": Paired(np.zeros(60), np.ones(60)),
        },
        GateConfig(),
    )
    assert few.low < few.change < few.high
    assert few.decision == "too few users"
    assert np.isnan([nobody.low, nobody.high, nothing.low, nothing.high]).all()


def test_a_loss_is_told_from_not_knowing():
    rng = np.random.default_rng(0)
    champion = rng.random(500)
    worse, equal = 0.5 * champion, champion + rng.normal(0, 0.01, 500)
    verdicts = judge({"a": Paired(champion, worse), "b": Paired(champion, equal)}, ALONE)
    assert [verdict.decision for verdict in verdicts] == ["loses", "passes"]
    assert verdicts[1].least > -0.1
    few = judge({"a": Paired(champion[:3], champion[:3])}, ALONE)[0]
    assert (few.decision, few.users) == ("too few users", 3)
    assert not few.passes


def test_nothing_found_by_both_does_not_pass():
    (verdict,) = judge({"a": Paired(np.zeros(100), np.zeros(100))}, ALONE)
    assert verdict.decision == "undecided"
    assert np.isnan(verdict.change)
    assert np.isnan(verdict.least)


def test_holm_over_categories_and_fewer_chances_at_every_look():
    rng = np.random.default_rng(1)
    pairs = {name: Paired(one := rng.random(200), one + rng.normal(0, 0.02, 200)) for name in "abcd"}
    levels = sorted(verdict.level for verdict in judge(pairs, ALONE))
    assert levels == pytest.approx([FIRST_LOOK / 4, FIRST_LOOK / 3, FIRST_LOOK / 2, FIRST_LOOK])
    third = judge({"a": pairs["a"]}, ALONE, {"a": 3})[0]
    assert third.level == pytest.approx(FIRST_LOOK / 9)
    mixed = judge({"a": pairs["a"], "b": pairs["b"]}, ALONE, {"a": 3})
    assert {verdict.category: verdict.level for verdict in mixed} in (
        pytest.approx({"a": FIRST_LOOK / 9, "b": FIRST_LOOK / 2}),
        pytest.approx({"a": FIRST_LOOK / 18, "b": FIRST_LOOK}),
    )
    assert sum(0.05 * 6 / (np.pi * look) ** 2 for look in range(1, 100_000)) == pytest.approx(0.05, rel=1e-3)


def test_after_one_that_fails_holm_lowers_nothing_more():
    rng = np.random.default_rng(2)
    noise = {name: rng.random(200) for name in "abc"}
    pairs = {name: Paired(one, rng.permutation(one)) for name, one in noise.items()}  # nothing can be ruled out
    assert [verdict.level for verdict in judge(pairs, ALONE)] == pytest.approx([FIRST_LOOK / 3] * 3)


def test_the_shop_holds_a_small_category_back_and_never_carries_it():
    rng = np.random.default_rng(3)
    few, many = rng.random(40), rng.random(2_000)
    small = Paired(few, few + rng.normal(0, 0.15, 40))
    config = GateConfig(least_users=20, trust=1_000)

    def beside(shop: float, config: GateConfig = config) -> Verdict:
        return judge({"small": small, "large": Paired(many, shop * many + rng.normal(0, 0.05, 2_000))}, config)[0]

    alone = beside(1.0, GateConfig(least_users=20, trust=0))
    for others in (1.0, 1.5):
        assert beside(others).p == alone.p  # no worse elsewhere, or better: that is theirs
        assert beside(others).least == alone.least
    lost = beside(0.85)
    assert lost.p > 0.5 > alone.p
    assert lost.least < alone.least
    assert lost.change == alone.change  # what was measured is told as it is
    assert lost.decision == "undecided"


def test_what_others_gain_does_not_carry_a_category_over_its_own_loss():
    rng = np.random.default_rng(4)
    own, others = rng.random(100), rng.random(5_000)
    pairs = {"own": Paired(own, own * 0.8), "others": Paired(others, others * 1.5)}
    (lost, _) = judge(pairs, GateConfig(trust=10_000))
    assert lost.decision == "loses"


def passing(
    loss: float, users: int, *, hits: float = 0.4, noise: float = 0.1, others: int = 0, trials: int = 400
) -> float:
    """How often a category passes whose challenger loses so much, beside some large ones that are equal."""
    rng, passed = np.random.default_rng(7), 0

    def pair(n: int, share: float) -> Paired:
        champion = np.where(rng.random(n) < hits, rng.random(n), 0.0)
        kept = rng.random(n) >= share  # a lost hit is lost whole: the noisiest way to lose
        return Paired(champion, np.where(rng.random(n) < 1 - noise, champion, rng.permutation(champion)) * kept)

    for _ in range(trials):
        shop = {"a": pair(users, loss)} | {f"b{number}": pair(2_000, 0.0) for number in range(others)}
        passed += judge(shop, GateConfig())[0].passes
    return passed / trials


@pytest.mark.parametrize(("users", "hits"), [(50, 0.3), (100, 0.1), (300, 0.1), (1_000, 0.4)])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_loss_of_the_margin_seldom_passes_however_few_users_and_hits(users, hits, noise):
    assert passing(0.10, users, hits=hits, noise=noise) <= 0.07  # 3 % at the first look, and the simulation's error
    assert passing(0.15, users, hits=hits, noise=noise) <= 0.05


@pytest.mark.parametrize(("users", "hits"), [(60, 0.4), (100, 0.9), (300, 0.9)])
def test_equal_neighbours_do_not_help_a_category_that_loses_the_margin(users, hits):
    assert passing(0.10, users, hits=hits, others=9, trials=100) <= 0.04  # Holm's, over ten: .3 % and more


def test_an_equal_model_passes_where_there_is_enough_to_tell():
    assert passing(0.0, 3_000) > 0.5
    assert passing(0.0, 1_000, noise=0.0) > 0.9
