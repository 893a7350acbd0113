"""The response to offers, on a shop where who bought an offer's items uses it."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.data.offers import build_offers
from kuapin.errors import ModelFolderError
from kuapin.ranking.response import (
    DAY,
    NAMES,
    Redemptions,
    Response,
    ResponseConfig,
    Setting,
    _forest,
    price_sensitivity,
    read_redemptions,
    used,
)
from kuapin.surfaces.campaigns import Campaigns

N_USERS, N_CAMPAIGNS = 120, 6
ITEMS = pl.DataFrame({"item_id": [f"i{i}" for i in range(8)], "category": ["x", "y"] * 4, "brand": ["Ada"] * 8})


def log() -> pl.DataFrame:
    """User k buys item k % 8 every day of ten, then uses the coupon for it in every campaign."""
    rows = [(f"u{k:03d}", f"i{k % 8}", day * DAY, "purchase", None, None) for k in range(N_USERS) for day in range(10)]
    for campaign in range(N_CAMPAIGNS):
        when = (20 + 10 * campaign) * DAY
        rows += [(f"u{k:03d}", None, when, "redeem", str(campaign), f"{k % 8}") for k in range(N_USERS)]
    columns = ["user_id", "item_id", "timestamp", "event", "campaign_id", "coupon_upc"]
    return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)


@pytest.fixture(scope="module")
def setting() -> Setting:
    table = log()
    data = build_dataset(ITEMS, table)
    n = range(N_CAMPAIGNS)
    campaigns = pl.DataFrame(
        {
            "campaign_id": [str(one) for one in n],
            "title": [f"Campaign {one}" for one in n],
            "start": [(15 + 10 * one) * DAY for one in n],
            "end": [(24 + 10 * one) * DAY for one in n],
        }
    )
    triples = [(f"coupon:{i}", "discounts", f"i{i}") for i in range(8)]
    triples += [(f"coupon:{i}", "part_of", f"campaign:{one}") for i in range(8) for one in n]
    relations = pl.DataFrame(triples, schema=["head", "relation", "tail"], orient="row")
    offers = build_offers(campaigns, relations, data.catalogue, data.users)
    nothing = np.full(N_USERS, np.nan, np.float32)
    return Setting(data.catalogue, data.histories, offers, read_redemptions(table, offers, data.users), nothing, None)


def value(setting: Setting, name: str, now: int, user: int = 0, offer: int = 0, **known: int) -> float:
    return float(setting.features(np.array([user]), np.array([offer]), now, 90, **known)[0, 0, NAMES.index(name)])


def test_redemptions_are_of_the_coupon_and_the_campaign(setting):
    assert len(setting.redemptions.user) == N_USERS * N_CAMPAIGNS
    table = setting.offers.table[setting.redemptions.offer.tolist()]
    assert (table["offer_id"] == pl.Series([f"coupon:{k % 8}" for k in setting.redemptions.user])).all()


def test_features_by_hand(setting):
    now = 15 * DAY
    assert value(setting, "bought", now) == pytest.approx(np.log1p(10))
    assert value(setting, "bought", 3 * DAY) == pytest.approx(np.log1p(3))  # nothing of later is read
    assert value(setting, "bought", now, user=1) == 0
    assert value(setting, "bought_items", now) == pytest.approx(np.log1p(1))
    assert value(setting, "bought_lately", 95 * DAY) == pytest.approx(np.log1p(5))  # days 5 to 9
    assert value(setting, "share", now) == 1
    assert value(setting, "redeemed", now) == 0
    assert value(setting, "redeemed", 100 * DAY) == pytest.approx(np.log1p(6))
    assert value(setting, "redeemed", 100 * DAY, known=35 * DAY) == pytest.approx(np.log1p(2))
    assert value(setting, "bought", now, user=-1) == 0


def test_what_is_hidden_feeds_nothing(setting):
    cut = 40 * DAY
    config = ResponseConfig(least=5)
    late = setting.redemptions.time >= cut
    moved = setting.redemptions.user.copy()
    moved[late] = np.random.default_rng(0).permutation(moved[late])
    other = replace(setting, redemptions=Redemptions(moved, setting.redemptions.offer, setting.redemptions.time))
    one, two = Response.fit(setting, config, until=cut), Response.fit(other, config, until=cut)
    assert one.forest.model_to_string() == two.forest.model_to_string()
    assert Response.fit(setting, config).forest.model_to_string() != one.forest.model_to_string()


def test_who_bought_it_uses_it(setting):
    response = Response.fit(setting, ResponseConfig(least=5), until=65 * DAY)
    surface = Campaigns(response, setting, 67 * DAY)  # the last campaign runs
    answer = surface.campaigns(np.arange(16), 3, explain=True)
    first = answer.items[np.searchsorted(answer.asked, np.arange(16))]
    names = setting.offers.table["offer_id"].gather(first).to_list()
    assert names == [f"coupon:{k % 8}" for k in range(16)]
    assert set(setting.offers.table["campaign_id"].gather(answer.items)) == {"5"}
    assert answer.reasons.texts[0] == "You bought 1 item that it is for, 10 times; it ends on 1970-03-16"
    assert (answer.scores <= 1).all()


def test_the_own_text_of_a_campaign_is_read():
    """Campaigns for the whole shop, of roses and of oak in turn: who buys roses uses those that speak of them."""
    kinds = ["rose"] * 10 + ["oak"] * 10
    items = pl.DataFrame({"item_id": [f"i{k:02d}" for k in range(20)], "title": [f"{one} thing a 13" for one in kinds]})
    people = [f"u{k:03d}" for k in range(80)]
    rows = [
        (one, f"i{k % 2 * 10 + d:02d}", d * DAY, "purchase", None) for k, one in enumerate(people) for d in range(5)
    ]
    n = range(6)  # one after the other, of roses and of oak in turn
    rows += [
        (one, None, (20 + 10 * m) * DAY, "redeem", str(m)) for k, one in enumerate(people) for m in n if m % 2 == k % 2
    ]
    table = pl.DataFrame(
        rows, schema=["user_id", "item_id", "timestamp", "event", "campaign_id"], orient="row", infer_schema_length=None
    )
    campaigns = pl.DataFrame(
        {
            "campaign_id": [str(m) for m in n],
            "title": ["Days of rose" if m % 2 == 0 else "For less" for m in n],
            "description": [None if m % 2 == 0 else "All that is OAK" for m in n],
            "start": [(15 + 10 * m) * DAY for m in n],
            "end": [99 * DAY for m in n],
        }
    )
    data = build_dataset(items, table)
    none = pl.DataFrame(schema={"head": pl.String, "relation": pl.String, "tail": pl.String})
    offers = build_offers(campaigns, none, data.catalogue, data.users)
    vectors = np.array([[one == "rose", one == "oak"] for one in kinds], np.float32)
    used = read_redemptions(table, offers, data.users)
    shop = Setting(data.catalogue, data.histories, offers, used, np.full(80, np.nan, np.float32), vectors)
    assert value(shop, "own_text", 15 * DAY, user=0, offer=0) == pytest.approx(1)
    assert value(shop, "own_text", 15 * DAY, user=0, offer=1) == pytest.approx(0)
    assert value(shop, "own_text", 15 * DAY, user=1, offer=1) == pytest.approx(1)
    first = Campaigns(Response.fit(shop, ResponseConfig(least=5)), shop, 80 * DAY).campaigns(np.arange(8), 1).items
    assert [offers.table["title"][int(row)] for row in first] == ["Days of rose", "For less"] * 4
    silent = replace(offers, table=offers.table.with_columns(text=pl.lit("Type A, 13")))
    assert np.isnan(value(replace(shop, offers=silent), "own_text", 15 * DAY))


def both_at_once(setting: Setting, **changed: object) -> Setting:
    """The same with the last two campaigns, which have the same coupons, running side by side from day 65 on."""
    start, end = setting.offers.start.copy(), setting.offers.end.copy()
    end[setting.offers.campaign == N_CAMPAIGNS - 2] = 99 * DAY
    return replace(setting, offers=replace(setting.offers, start=start, end=end, **changed))


def test_a_coupon_of_two_campaigns_comes_once_as_of_the_later(setting):
    surface = Campaigns(Response.fit(setting, ResponseConfig(least=10_000)), both_at_once(setting), 67 * DAY)
    answer = surface.campaigns(np.arange(16), 20)
    table = surface.setting.offers.table
    assert np.bincount(answer.asked).tolist() == [8] * 16
    assert set(table["campaign_id"].gather(answer.items)) == {"5"}
    assert surface.title("coupon:0") == "Campaign 5"
    assert replace(surface, now=57 * DAY).title("coupon:0") == "Campaign 4"  # the last has not begun
    assert replace(surface, now=90 * DAY).title("coupon:0") == "Campaign 4"  # and is over
    assert replace(surface, now=999 * DAY).title("coupon:0") == "Campaign 5"
    assert surface.title("coupon:none") is None


def test_a_coupon_has_the_title_of_a_campaign_that_the_user_may_use(setting):
    received = setting.offers.received.tolil()
    received[0, N_CAMPAIGNS - 1] = 1  # the last campaign was sent to user 0 alone
    shop = both_at_once(setting, received=received.tocsr())
    surface = Campaigns(Response.fit(setting, ResponseConfig(least=10_000)), shop, 67 * DAY)
    for user, campaign in ((0, "5"), (1, "4"), (-1, "4")):
        answer = surface.campaigns(np.array([user]), 20)
        assert set(shop.offers.table["campaign_id"].gather(answer.items)) == {campaign}
        assert surface.title("coupon:0", user) == f"Campaign {campaign}"


def test_a_stranger_gets_what_is_open_and_nothing_runs_at_night(setting):
    response = Response.fit(setting, ResponseConfig(least=5))
    assert len(Campaigns(response, setting, 67 * DAY).campaigns(np.array([-1]), 3).items) == 3
    assert len(Campaigns(response, setting, 999 * DAY).campaigns(np.array([0]), 3).items) == 0


def test_with_few_redemptions_purchases_of_the_targets_rank(setting, tmp_path):
    response = Response.fit(setting, ResponseConfig(least=10_000))
    assert response.forest is None
    answer = Campaigns(response, setting, 67 * DAY).campaigns(np.array([3]), 1)
    assert setting.offers.table["offer_id"][int(answer.items[0])] == "coupon:3"
    response.save(tmp_path)
    assert Response.load(tmp_path).forest is None


def test_restored_it_says_the_same(setting, tmp_path):
    response = Response.fit(setting, ResponseConfig(least=5))
    response.save(tmp_path)
    features = setting.features(np.arange(20), np.arange(16), 50 * DAY, 90)
    assert Response.load(tmp_path).probability(features) == pytest.approx(response.probability(features))
    (tmp_path / "response.txt").unlink()
    with pytest.raises(ModelFolderError, match="cannot be read"):
        Response.load(tmp_path)


def test_an_older_release_goes_on_with_the_features_that_it_has(setting, tmp_path):
    older = [row for row, name in enumerate(NAMES) if name != "own_text"]
    features, labels = (
        setting.features(np.arange(N_USERS), np.arange(16), 35 * DAY, 90),
        used(setting.redemptions, np.arange(N_USERS), np.arange(16)),
    )
    flat = features.reshape(-1, len(NAMES))[:, older]
    forest = _forest(flat, labels.ravel(), ResponseConfig())
    Response(forest, ResponseConfig(), tuple(NAMES[row] for row in older)).save(tmp_path)
    found = Response.load(tmp_path).probability(features)
    assert found.ravel() == pytest.approx(forest.predict(flat))
    assert found.std() > 0
    said = json.loads((tmp_path / "response.json").read_text())
    (tmp_path / "response.json").write_text(json.dumps(said | {"features": [*said["features"], "moon"]}))
    with pytest.raises(ModelFolderError, match="'moon'"):
        Response.load(tmp_path)


def test_price_sensitivity_is_the_share_bought_below_the_usual_price():
    from kuapin.data.vocabulary import Vocabulary

    rows = [("u", "a", 2.0, 1)] * 3 + [("u", "a", 1.0, 1), ("u", "a", 4.0, 2), ("v", "a", 2.0, 1)]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "value", "quantity"], orient="row")
    share = price_sensitivity(table, Vocabulary(["u", "v"], "user"))
    assert share[0] == pytest.approx(0.2)
    assert np.isnan(share[1])
