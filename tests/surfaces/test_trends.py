from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.data.dataset import build_catalogue, build_dataset
from kuapin.data.histories import empty_histories
from kuapin.ranking.growth import WEEK, Estimate, Growth, GrowthConfig, estimate, weekly
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
    answer = trends.trends(empty_histories(1, 96, timed=True), 10, explain=True)
    shown = list(zip(*trends.targets["kind", "id"][answer.items], answer.reasons.texts, strict=True))
    items = [name for kind, name, _ in shown if kind == "item"]
    assert len(items) >= 4
    assert all("rose" in item for item in items)
    assert {name for kind, name, _ in shown if kind == "word"} == {"rose", "mint"}
    assert [name for kind, name, _ in shown if kind == "brand"] == ["Rose"]
    assert all(text.endswith("for 3 weeks") for kind, name, text in shown if kind == "item" or name == "rose")
    assert set(answer.reasons.codes) == {"rising"}


def test_growth_its_bounds_and_the_day_that_it_began_are_columns(trends):
    rose = trends.targets.filter(kind="brand", id="Rose").row(0, named=True)
    assert 1 < rose["growth_low"] < rose["growth"] < rose["growth_high"]
    assert rose["since"] == date(1970, 1, 1) + timedelta(weeks=13)
    assert trends.targets.columns == ["id", "kind", *c.GROWN]


@pytest.mark.parametrize(
    ("growth", "error", "named"),
    [(1.04, 0.5, False), (1.06, 0.5, True), (1.04, 0.01, True), (0.99, 0.001, False)],
)
def test_what_hardly_rises_is_named_beyond_doubt_alone(trends, monkeypatch, growth, error, named):
    found = estimate(weekly(trends.histories, trends.now), trends.catalogue.category, trends.growth.config)
    same = np.ones_like(found.growth)
    slow = Estimate(same * np.log(growth), same * error, found.since)
    monkeypatch.setattr("kuapin.surfaces.trends.estimate", lambda *_: slow)
    assert bool(replace(trends)._items(weekly(trends.histories, trends.now)).names) == named


def test_an_attribute_rises_with_its_items(trends, shop):
    colour = ["red" if item.startswith("rose") else "blue" for item in shop.catalogue.frame["title"]]
    rare = ["new" if row < 2 else None for row in range(96)]
    frame = shop.catalogue.frame.with_columns(colour=pl.Series(colour), rare=pl.Series(rare), size=pl.lit(3))
    found = replace(trends, catalogue=build_catalogue(frame)).targets.filter(kind="attribute")
    assert found["id"].to_list() == ["colour: red"]  # "new" is two items' own
    assert trends.targets.filter(kind="attribute").height == 0


def test_of_what_rises_the_users_own_shelf_comes_first(trends, shop):
    answer = trends.trends(shop.histories.select(np.array([0])), 10)
    assert trends.targets["id"][answer.items].to_list()[:2] == ["H-rose-lamp-small", "H-rose-lamp-large"]


def test_items_that_may_not_be_shown_are_not(trends):
    allowed = np.array([0, 1])  # two of Beauty's roses
    shown = trends.targets[trends.trends(empty_histories(1, 96, timed=True), 10, allowed).items]
    assert shown.filter(kind="item")["id"].sort().to_list() == ["B-rose-soap-large", "B-rose-soap-small"]
    assert set(shown.filter(pl.col("kind") != "item")["id"]) == {"Rose", "rose"}  # no rising shelf, nor mint


def test_a_shop_without_times_has_no_trend(shop):
    still = empty_histories(3, 96, timed=False)
    none = pl.DataFrame(schema={"query": pl.String, "timestamp": pl.Int64})
    answer = Trends(Growth(None, GrowthConfig()), shop.catalogue, still, 0, none).trends(still, 5)
    assert len(answer.items) == 0


def test_words_that_are_written_without_spaces_rise_in_titles_and_searches():
    """Roses and mint have Chinese names here, kinds as well; roses sell more, and mint is searched for."""
    themes, kinds = "玫瑰 橡木 海洋 薄荷 雪花 太阳", "香皂 面霜 蜡烛 台灯 花盆 水管 睡床 玩偶"
    chinese = dict(
        zip(
            (*market.THEMES, *(kind for kinds in market.KINDS.values() for kind in kinds), "small", "large"),
            (*themes.split(), *kinds.split(), "小号", "大号"),
            strict=True,
        )
    )
    titles = ["".join(chinese[word] for word in title.split()) for title in market.items()[c.TITLE]]
    items = market.items().with_columns(pl.Series(c.TITLE, titles))
    rows = [
        (f"u{(row + k) % 9}", item, week * WEEK + k)
        for row, (item, title) in enumerate(items.select(c.ITEM_ID, c.TITLE).rows())
        for week in range(16)
        for k in range(10 if "玫瑰" in title and week >= 13 else 1)
    ]
    data = build_dataset(items, pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))
    searched = pl.DataFrame({"query": ["薄荷茶"] * 200, "timestamp": [15 * WEEK + k for k in range(200)]})
    found = Trends(Growth(None, GrowthConfig()), data.catalogue, data.histories, 16 * WEEK, searched)
    assert set(found.targets.filter(kind="word")["id"]) == {"玫瑰", "薄荷"}
