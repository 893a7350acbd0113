"""Home pages that follow a person: bounds, what is read of a log, and that the right thing is learnt."""

import numpy as np
import polars as pl
import pytest

from kuapin.ranking.linear_bandit import LinearBandit
from kuapin.surfaces.home import SHARES
from kuapin.surfaces.home_strategies import (
    HomeStrategies,
    StrategiesConfig,
    features,
    learn,
    read_pages,
    strategies,
)
from tests import market

CONFIG = StrategiesConfig(enabled=True)
KNOWN = strategies(CONFIG)
NAMES = list(SHARES)


def rows(user, ranking, when, surface, good, propensity=0.1):
    """One impression a row, and a click for each good one."""
    shown = [(user, f"{surface}{k}", "impression", when, ranking, surface, propensity) for k in range(len(good))]
    clicks = [(user, f"{surface}{k}", "click", when + 1, ranking, None, None) for k, one in enumerate(good) if one]
    return shown + clicks


def log_of(parts):
    schema = ["user_id", "item_id", "event", "timestamp", "ranking_id", "surface", "propensity"]
    return pl.DataFrame(parts, schema=schema, orient="row")


def test_every_strategy_keeps_the_bounds_of_the_shop():
    assert len(KNOWN) == 24
    assert len({one.name for one in KNOWN}) == 24
    for one in KNOWN:
        assert sum(one.shares.values()) == pytest.approx(1)
        assert one.discovery in (CONFIG.same, 0, CONFIG.discover)
        for name, share in one.shares.items():
            assert CONFIG.least * SHARES[name] - 1e-9 <= share <= CONFIG.most * SHARES[name] + 1e-9
    more = {one.name: one for one in KNOWN}["more-bundles"]
    assert more.shares["bundles"] == pytest.approx(2.5 * 0.15)
    # .35 · 2.5 = .875 would leave the others less than half of theirs: 1 - .5 · .65
    assert {one.name: one for one in KNOWN}["more-products"].shares["products"] == pytest.approx(0.675)


def test_a_page_is_read_with_what_was_known_before_it():
    log = log_of(
        rows("u", "usual.1", 100, "bundles", [1, 0, 0, 0])
        + rows("u", "more-bundles-discover.2", 200, "bundles", [1, 1])
        + rows("v", "usual.3", 150, "products", [0, 0, 0, 0])
        + rows("v", "of another kind", 160, "products", [1, 1])
    )
    pages = read_pages(log, KNOWN, "click")
    assert pages.users.to_list() == ["u", "u", "v"]
    assert [KNOWN[k].name for k in pages.strategy] == ["usual", "more-bundles-discover", "usual"]
    assert pages.reward.tolist() == [0.25, 1, 0]
    bundles = NAMES.index("bundles")
    assert (pages.context[[0, 2]] == 0).all()  # nothing was known of either
    # all: 3 of 6 rows; before the second page the user saw 4 and took 1: (1 + 20 · .5) / 24 - .5
    assert pages.context[1, bundles] == pytest.approx(11 / 24 - 0.5)
    assert pages.context[1, -1] == 0
    assert pages.after["u"][bundles] == pytest.approx(13 / 26 - 0.5)
    # the dial was turned once: (1 - mean reward) / (1 + 20)
    assert pages.after["u"][-1] == pytest.approx((1 - 1.25 / 3) / 21)
    assert pages.propensity.tolist() == [0.1] * 3


def test_a_log_without_rankings_leaves_a_bandit_that_knows_nothing():
    fitted = HomeStrategies.fit(pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "event": ["view"]}), CONFIG)
    assert (fitted.bandit.mean == 0).all()
    chosen, chance = fitted.choose(pl.Series(["u", "v", None], dtype=pl.String), 3)
    again, _ = fitted.choose(pl.Series(["v"]), 3)
    assert again[0] == chosen[1]
    assert ((chance > 0) & (chance < 1)).all()


def test_visitors_draw_by_what_they_did_and_nobody_known_every_time():
    fitted = HomeStrategies.fit(pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "event": ["view"]}), CONFIG)
    n = 60
    nobody, model = pl.Series([None] * n, dtype=pl.String), market.model()
    met = model.histories.select(np.arange(n))
    strangers = model.histories_of([""] * n)
    chosen, again, drawn, anew = (fitted.choose(nobody, 3, one)[0] for one in (met, met, strangers, strangers))
    assert len(set(chosen.tolist())) > 10
    assert (chosen == again).all()
    assert len(set(drawn.tolist())) > 10
    assert (drawn != anew).any()


def test_the_propensity_is_how_often_a_strategy_comes():
    bandit = LinearBandit(np.array([1.0, 0.0]), np.zeros((2, 2)))
    chances = bandit.chances(np.eye(2), 0.2, np.random.default_rng(0))
    np.testing.assert_allclose(chances, [0.9, 0.1])


def test_ridge_by_hand():
    fitted = LinearBandit.fit(np.array([[1.0], [1.0]]), np.array([1.0, 0.0]), ridge=2.0, spread=0.0)
    assert fitted.mean[0] == pytest.approx(0.25)  # (1 + 0) / (2 + 2)
    assert fitted.root[0, 0] == pytest.approx(0.5 / 2)  # noise / sqrt(4)


def test_who_responds_to_bundles_gets_more_of_them():
    rng = np.random.default_rng(0)
    parts = []
    for number in range(300):
        likes = "bundles" if number % 2 else "trends"
        for page in range(6):
            strategy = KNOWN[rng.integers(len(KNOWN))]
            for name, share in strategy.shares.items():
                good = rng.random(round(20 * share)) < (0.6 if name == likes else 0.1)
                parts += rows(f"u{number}", f"{strategy.name}.{number}-{page}", 100 * page, name, good, 1 / 24)
    pages = read_pages(log_of(parts), KNOWN, "click")
    bandit = learn(pages, KNOWN, np.ones(len(pages.reward), np.bool_))
    for user, likes, other in (("u1", "bundles", "trends"), ("u2", "trends", "bundles")):
        best = KNOWN[int(np.argmax(bandit.expected(features(pages.after[user][None], KNOWN))[0]))]
        assert best.shares[likes] > SHARES[likes]
        assert best.shares[other] < SHARES[other]
