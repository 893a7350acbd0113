import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.data.histories import empty_histories
from kuapin.ranking.growth import WEEK, Growth, GrowthConfig
from kuapin.surfaces.trends import Trends
from tests import market


@pytest.fixture(scope="module")
def shop():
    """Every item once a week; in the last three weeks the roses ten times as often; user 0 buys lamps alone."""
    rows = []
    for row, (item, title) in enumerate(market.items().select("item_id", "title").rows()):
        for week in range(16):
            often = 10 if title.startswith("rose") and week >= 13 else 1
            rows += [(f"u{(row + k) % 9 + 1}", item, week * WEEK + k) for k in range(often)]
    rows += [("u0", "H-oak-lamp-small", week * WEEK + 5) for week in range(16)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return build_dataset(market.items(), log)


@pytest.fixture(scope="module")
def trends(shop) -> Trends:
    searched = [("mint tea", 15 * WEEK + k) for k in range(200)]
    queries = pl.DataFrame(searched, schema=["query", "timestamp"], orient="row")
    return Trends(Growth(None, GrowthConfig()), shop.catalogue, shop.histories, 16 * WEEK, queries)


def test_what_rises_is_named_with_growth_its_bounds_and_since_when(trends, shop):
    answer, names, kinds = trends.trends(empty_histories(1, 96, timed=True), 10, explain=True)
    shown = list(zip(kinds.gather(answer.items), names.gather(answer.items), answer.reasons.texts, strict=True))
    items = [name for kind, name, _ in shown if kind == "item"]
    assert len(items) >= 6
    assert all("rose" in item for item in items)
    assert {name for kind, name, _ in shown if kind == "word"} == {"rose", "mint"}
    assert all(text.endswith("for 3 weeks") for kind, name, text in shown if kind == "item" or name == "rose")
    assert set(answer.reasons.codes) == {"rising"}


def test_of_what_rises_the_users_own_shelf_comes_first(trends, shop):
    answer, names, _ = trends.trends(shop.histories.select(np.array([0])), 10)
    assert names.gather(answer.items).to_list()[:2] == ["H-rose-lamp-small", "H-rose-lamp-large"]


def test_items_that_may_not_be_shown_are_not(trends):
    allowed = np.array([0, 1])  # two of Beauty's roses
    answer, names, kinds = trends.trends(empty_histories(1, 96, timed=True), 5, allowed)
    items = [n for n, k in zip(names.gather(answer.items), kinds.gather(answer.items), strict=True) if k == "item"]
    assert len(items) == 2


def test_a_shop_without_times_has_no_trend(shop):
    still = empty_histories(3, 96, timed=False)
    none = pl.DataFrame(schema={"query": pl.String, "timestamp": pl.Int64})
    answer, _, _ = Trends(Growth(None, GrowthConfig()), shop.catalogue, still, 0, none).trends(still, 5)
    assert len(answer.items) == 0
