"""Rules, caps, floors and penalties have their effect on real lists, and no list is short for them."""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_catalogue
from kuapin.data.histories import empty_histories
from kuapin.errors import InputError
from kuapin.model import Model
from kuapin.ranking.bound_rules import BoundRule, Rules
from kuapin.ranking.diversity import DiversityConfig
from kuapin.ranking.reranker import Reranker
from kuapin.ranking.rules import Demand
from tests import market

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def plain() -> Model:
    return market.model()


@pytest.fixture
def with_rules(plain, tmp_path):
    def make(text: str, **reranker: object) -> Model:
        lists = Reranker(plain.recommender, plain.catalogue, market.rules(plain, tmp_path, text), **reranker)
        return Model("r1", plain.recommender, plain.catalogue, plain.users, plain.histories, lists)

    return make


def shown(model: Model, users=None, n=10, **options) -> pl.DataFrame:
    frame = model.recommend(model.users.ids if users is None else users, n, now=NOON, **options)
    facts = model.catalogue.frame.select("item_id", "brand", "title", pl.col("category").str.head(4).alias("top"))
    return frame.join(facts, left_on="target_id", right_on="item_id", how="left", maintain_order="left")


def full(frame: pl.DataFrame, n: int, users: int) -> bool:
    different = frame.group_by("user_id").agg(pl.col("target_id").n_unique())["target_id"]
    return frame.height == n * users and different.unique().to_list() == [n]


def test_without_rules_nothing_changes(plain, with_rules):
    assert with_rules("").recommend(plain.users.ids).equals(plain.recommend(plain.users.ids))


def test_what_is_excluded_is_gone_everywhere_and_lists_stay_full(with_rules):
    model = with_rules('[[exclude]]\ncategory = ["Beauty", "Pets > bed"]\n')
    frame = shown(model, n=48)
    assert full(frame, 48, 160)
    assert not frame["title"].str.contains("soap|cream|bed").any()
    assert not any(item.startswith("B-") for item in model.similar("H-sea-lamp-small", 60)["target_id"])
    with pytest.raises(InputError, match="discovery is 2"):
        model.recommend("user 001", discovery=2)


def test_a_pin_stands_at_its_place_for_all_and_says_so(with_rules):
    model = with_rules('[[pin]]\nname = "week"\nitem = "P-snow-toy-large"\nposition = 3\n')
    frame = shown(model, [*model.users.ids, "a stranger"], n=5, explain=True)
    assert full(frame, 5, 161)
    third = frame.filter(rank=3)
    assert set(third["target_id"]) == {"P-snow-toy-large"}
    assert set(third["reason_code"]) == {"rule"}
    assert third["reason"][0] == "Placed by the shop's rule “week”"
    assert "rule" not in set(frame.filter(pl.col("rank") != 3)["reason_code"])
    assert shown(model, n=2).filter(target_id="P-snow-toy-large").height < 160  # there is no third place


def test_a_pin_of_what_is_not_available_is_left_out(with_rules):
    model = with_rules('[[pin]]\nitem = "B-rose-soap-small"\nposition = 1\n')  # one of the six
    assert "B-rose-soap-small" not in shown(model)["target_id"]


def test_quotas_bound_both_sides(with_rules):
    model = with_rules('[[quota]]\ncategory = "Pets"\nat_least = 3\n[[quota]]\nbrand = "Rose"\nat_most = 1\n')
    frame = shown(model, n=6)
    assert full(frame, 6, 160)
    per_user = frame.group_by("user_id").agg((pl.col("top") == "Pets").sum(), (pl.col("brand") == "Rose").sum())
    assert per_user["top"].min() == 3
    assert per_user["brand"].max() == 1


def test_a_boost_lifts_and_a_small_factor_lowers(plain, with_rules):
    share = lambda frame: (frame["brand"] == "Sun").mean()  # noqa: E731
    before = share(shown(plain))
    assert share(shown(with_rules('[[boost]]\nbrand = "Sun"\nfactor = 5\n'))) > 1.5 * before
    assert share(shown(with_rules('[[boost]]\nbrand = "Sun"\nfactor = 0.2\n'))) < 0.75 * before


def test_a_demand_hides_what_does_not_meet_it(with_rules):
    model = with_rules('[[demand]]\nmust = { column = "stock", at_least = 2 }\n')
    frame = shown(model, n=44)
    stock = {item: row % 4 for row, item in enumerate(model.catalogue.items.ids)}
    assert min(stock[item] for item in frame["target_id"]) == 2
    assert full(frame, 44, 160)
    strict = with_rules('[[demand]]\nmust = { column = "region", equals = "north" }\nunknown = "hide"\n')
    assert set(shown(strict, n=24)["top"]) == {"Gard"}


def test_a_rule_for_some_users_is_for_no_others(with_rules):
    model = with_rules('[[exclude]]\nbrand = "Oak"\nusers = { column = "club", equals = true }\n')
    frame = shown(model, [*model.users.ids, "a stranger"], n=60)
    assert full(frame, 60, 161)
    number = pl.col("user_id").str.extract(r"(\d+)").cast(pl.Int32)
    assert not (frame.filter(number % 2 == 0)["brand"] == "Oak").any()
    assert (frame.filter(number % 2 == 1)["brand"] == "Oak").any()
    assert (frame.filter(user_id="a stranger")["brand"] == "Oak").any()


def test_a_condition_that_no_user_meets_is_told(with_rules):
    wrong = '[[exclude]]\nbrand = "Oak"\nusers = { column = "region", equals = "nrth" }\n'
    with pytest.warns(UserWarning, match=r"rules.toml line 1, exclude .*: no user of the shop meets its condition"):
        with_rules(wrong)


def test_a_region_is_that_of_the_user(with_rules):
    """The garden is in the north; other items do not say where they are."""
    frame = shown(with_rules('[[demand]]\nsame_as_user = "region"\n'), n=60)
    garden = frame.filter(top="Gard").with_columns(number=pl.col("user_id").str.extract(r"(\d+)").cast(pl.Int32) % 2)
    assert set(garden["number"]) == {0}
    assert full(frame, 60, 160)


def test_relations_hide_what_clashes_and_what_lacks_its_part(plain, with_rules):
    model = with_rules('[[incompatible]]\nrelation = "clashes_with"\n[[requires]]\nrelation = "requires"\n')
    frame, rows = shown(model, n=80), model.catalogue.items
    ends = ("H-rose-lamp-large", "P-rose-bed-small")
    met = {user: set(rows.take(model.histories.of(row))) for row, user in enumerate(model.users.ids)}
    lists = dict(frame.group_by("user_id").agg("target_id").iter_rows())
    seen = {"clash": 0, "part": 0}
    for user, items in lists.items():
        for one, other in (ends, ends[::-1]):
            if one in met[user]:
                assert other not in items
                seen["clash"] += 1
        if "G-oak-pot-small" not in met[user]:
            assert "H-oak-lamp-small" not in items
        seen["part"] += "H-oak-lamp-small" in items
    assert min(seen.values()) > 3


def test_a_blackout_passes(with_rules):
    model = with_rules('[[blackout]]\ncategory = "Home"\nhours = "11:00-13:00"\n')
    assert "Home" not in set(shown(model, n=40)["top"])
    later = model.recommend("user 003", 40, now=NOON.replace(hour=14))
    assert later["target_id"].str.starts_with("H-").any()


@pytest.mark.parametrize(
    ("config", "column", "most", "least"),
    [
        ({"per_brand": 2}, "brand", 2, 1),
        ({"per_leaf": 2}, "leaf", 2, 1),
        ({"categories": 4}, "top", 9, 4),
        ({"brands": 5, "discovery": 0.3}, "brand", 9, 5),
    ],
)
def test_caps_and_floors_of_the_configuration(plain, config, column, most, least):
    lists = Reranker(plain.recommender, plain.catalogue, diversity=DiversityConfig(**config))
    model = Model("r1", plain.recommender, plain.catalogue, plain.users, plain.histories, lists)
    frame = shown(model).with_columns(leaf=pl.col("title").str.split(" ").list.get(1))
    assert full(frame, 10, 160)
    counts = frame.group_by("user_id", column).len()
    assert counts["len"].max() <= most
    assert counts.group_by("user_id").len()["len"].min() >= least


def test_the_dial_turns_towards_what_is_known_and_what_is_new(plain):
    met = {user: set(plain.catalogue.items.take(plain.histories.of(r))) for r, user in enumerate(plain.users.ids)}

    def lists(d):
        frame = shown(plain, discovery=d)
        assert full(frame, 10, 160)
        known = np.mean([item in met[user] for user, item in frame.select("user_id", "target_id").iter_rows()])
        return known, frame.group_by("user_id", "top").len().height / 160

    same, middle, new = lists(-0.7), lists(0.0), lists(0.7)
    assert same[0] >= middle[0] > new[0] + 0.1  # items met before
    assert same[1] < middle[1] < new[1] - 0.2  # different categories
    assert shown(plain, discovery=0.0).equals(shown(plain))


def test_blocked_items_are_never_shown_and_penalised_ones_fall(plain):
    none = np.zeros(96, bool)
    first = shown(plain, n=1)["target_id"].mode()[0]
    row = plain.catalogue.items.row(first)
    lists = replace(plain.reranker, blocked=none | (np.arange(96) == row))
    model = Model("r1", plain.recommender, plain.catalogue, plain.users, plain.histories, lists)
    assert first not in shown(model, n=89)["target_id"]
    lists = replace(plain.reranker, penalty=np.where(np.arange(96) == row, 50.0, 0.0))
    model = Model("r1", plain.recommender, plain.catalogue, plain.users, plain.histories, lists)
    assert first not in shown(model)["target_id"]
    assert first in shown(model, "user 001", n=90)["target_id"]


def test_each_rule_is_tried_against_the_list_without_it(with_rules):
    model = with_rules(
        '[[pin]]\nname = "pin"\nitem = "P-snow-toy-large"\nposition = 1\n'
        '[[exclude]]\nname = "none of these"\nitems = ["B-mint-soap-large"]\n'
        '[[exclude]]\nname = "gone anyway"\nitems = ["B-rose-soap-small"]\n'
    )
    trial = model.try_rules("user 001", 5, NOON)
    pin, other, anyway = trial.changes
    assert pin.came == ["P-snow-toy-large"]
    assert len(pin.went) == 1
    assert (anyway.came, anyway.went, anyway.moved) == ([], [], [])
    assert trial.table.equals(model.recommend("user 001", 5, explain=True, now=NOON))
    assert other.line == 5


def test_who_may_be_shown_what_takes_little_memory_in_a_large_catalogue(plain, monkeypatch):
    n, who = 200_000, np.arange(64)
    catalogue = build_catalogue(pl.DataFrame({"item_id": pl.int_range(n, eager=True).cast(pl.String)}))
    region = ((np.arange(n) % 3).astype(np.int32), (who % 2).astype(np.int32))
    rules = Rules((BoundRule(Demand(same_as_user="region"), np.ones(n, np.bool_), agree=region),))
    lists = Reranker(plain.recommender, catalogue, rules)

    def audiences() -> tuple[list[tuple[list[int], int]], int]:
        tracemalloc.start()
        found = [
            (users.tolist(), items.sum()) for users, items in lists.audiences(empty_histories(64, n, timed=True), who)
        ]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found, peak

    found, peak = audiences()
    assert sorted(users for users, _ in found) == [who[::2].tolist(), who[1::2].tolist()]
    assert peak < 50e6
    monkeypatch.setattr("kuapin.ranking.reranker.PAIRS", 64 * n)
    at_once, more = audiences()
    assert at_once == found
    assert more > 2 * peak
