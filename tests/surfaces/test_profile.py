from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.data.histories import empty_histories
from kuapin.surfaces.profile import DAY, Profiles, table
from tests import market


@pytest.fixture(scope="module")
def shop():
    """Everybody buys everything; u0 buys large oak soap every 10 days, and oak lamps."""
    rows = [(f"u{k % 5 + 1}", item, k * 1000) for k, item in enumerate(market.items()["item_id"].to_list() * 3)]
    rows += [("u0", "B-oak-soap-large", day * DAY) for day in range(0, 100, 10)]
    rows += [("u0", "H-oak-lamp-large", day * DAY + 5) for day in range(0, 60, 10)]
    rows += [("u0", "G-sea-pot-small", 3)]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return build_dataset(market.items(), log)


@pytest.fixture(scope="module")
def profiles(shop) -> Profiles:
    return Profiles(shop.catalogue, shop.histories, 99 * DAY)


def of(profiles, shop, searched=None):
    return profiles.profile(shop.histories.select(shop.users.rows(["u0"])), searched)


def test_the_surest_of_every_kind_are_the_same_where_only_these_are_written_out(profiles, shop):
    history = shop.histories.select(shop.users.rows(["u0"]))
    for n in (1, 2):
        asked = table([("u0", profiles.profile(history, most=n))], n, "r")
        assert asked.equals(table([("u0", profiles.profile(history))], n, "r"))
        assert len(profiles.profile(history, most=n)) < len(profiles.profile(history))


def test_statements_with_their_evidence(profiles, shop):
    said = {(one.kind, one.value): one for one in of(profiles, shop)}
    soap = said["category", "Beauty > soap"]
    assert soap.evidence.startswith("10 of 17 interactions (59%); of all people's ")
    assert soap.confidence > 0.95
    assert ("brand", "Oak") in said
    assert ("attribute", "oak") in said
    assert said["price", "high"].evidence.startswith("high prices: ")
    assert ("brand", "Sea") not in said  # one interaction is no taste
    gaps = said["rhythm", "every 10 days"].evidence
    assert gaps.startswith("every 10 days, the median of 9 gaps of 10 to 10 days; ")
    due = said["due", "B-oak-soap-large"]
    assert due.evidence.startswith("bought on 10 days, every 10 days; the last was 9 days ago; ")
    assert due.confidence == 1
    assert ("due", "H-oak-lamp-large") not in said  # 49 days ago: given up


def test_every_statement_names_the_latest_events_it_rests_on(profiles, shop):
    said = {(one.kind, one.value): one.evidence.partition("; latest: ")[2] for one in of(profiles, shop)}
    soap = (
        "B-oak-soap-large (1970-04-01 00:00), B-oak-soap-large (1970-03-22 00:00), B-oak-soap-large (1970-03-12 00:00)"
    )
    assert said["category", "Beauty > soap"] == said["due", "B-oak-soap-large"] == soap
    assert said["rhythm", "every 10 days"] == soap
    assert said["category", "Home > lamp"].startswith("H-oak-lamp-large (1970-02-20 00:00), ")
    assert all(said.values())


def test_no_event_of_an_item_that_is_hidden_is_named(profiles, shop):
    hidden = shop.catalogue.items.row("B-oak-soap-large")
    one, shown = shop.histories.select(shop.users.rows(["u0"])), np.delete(np.arange(96), hidden)
    said = {(one.kind, one.value): one.evidence for one in profiles.profile(one, shown=shown)}
    assert not any("B-oak-soap-large" in evidence for evidence in said.values())
    assert "latest" not in said["category", "Beauty > soap"]
    assert "latest: H-oak-lamp-large (" in said["brand", "Oak"]


def test_in_chinese_the_latest_events_are_named_too(profiles, shop):
    said = profiles.profile(shop.histories.select(shop.users.rows(["u0"])), language="zh")
    assert all("；最近：" in one.evidence for one in said)


def test_without_times_the_items_are_named_alone(profiles, shop):
    history = replace(shop.histories.select(shop.users.rows(["u0"])), timed=False)
    said = {(one.kind, one.value): one.evidence for one in profiles.profile(history)}
    assert said["category", "Beauty > soap"].endswith("; latest: B-oak-soap-large, B-oak-soap-large, B-oak-soap-large")


def test_what_the_users_table_tells_is_said_with_its_column(profiles, shop):
    nobody = empty_histories(1, 96, timed=True)
    (said,) = profiles.profile(nobody, told={"age": "65+"})
    assert (said.kind, said.value, said.confidence, said.evidence) == ("told", "age: 65+", 1.0, "users.age")


def test_what_rests_on_few_events_is_less_sure(profiles, shop):
    said = {(one.kind, one.value): one for one in of(profiles, shop)}
    assert said["category", "Home > lamp"].confidence < said["category", "Beauty > soap"].confidence


def test_the_same_history_gives_the_same_profile(profiles, shop):
    assert of(profiles, shop) == of(profiles, shop)


def test_random_halves_of_a_history_agree_on_what_is_sure(profiles, shop):
    history = shop.histories.select(shop.users.rows(["u0"]))
    sure = {(one.kind, one.value) for one in of(profiles, shop) if one.confidence >= 0.99 and one.kind == "brand"}
    assert sure == {("brand", "Oak")}
    rng = np.random.default_rng(0)
    for _ in range(10):
        half = np.sort(rng.permutation(17)[:9])
        part = profiles.profile(history.keep(np.isin(np.arange(17), half)))
        assert sure <= {(one.kind, one.value) for one in part}


def test_searches_count_as_attributes(profiles, shop):
    searched = pl.DataFrame({"query": ["mint tea", "mint", "mint soap", "tea"], "timestamp": [DAY, None, 2 * DAY, 3]})
    said = [one for one in of(profiles, shop, searched) if one.value == "mint"]
    assert [one.evidence for one in said] == [
        "in 3 of 4 searches; latest: mint soap (1970-01-03 00:00), mint tea (1970-01-02 00:00), mint"
    ]


def test_of_nobody_nothing_is_said(profiles):
    assert profiles.profile(empty_histories(1, 96, timed=True)) == []
    assert table([("u", [])], 3, "r1").height == 0


def test_a_table_has_the_surest_of_every_kind(profiles, shop):
    rows = table([("u0", of(profiles, shop))], 1, "r1")
    assert rows["kind"].n_unique() == rows.height
    assert rows["rank"].to_list() == list(range(1, rows.height + 1))
    assert rows["reason"].null_count() == 0
