"""Items that come, change and go while the service runs."""

import polars as pl
import pytest

from kuapin.data.sql.items import table_of
from kuapin.model import Model
from kuapin.retrieval.whitening import fit_whitening
from kuapin.workspace import Shop
from tests import market, served

NEW = {"title": "sea lamp huge", "category": "Light > Lamps", "brand": "Sea", "price": 12.5}


def listed(client, **parameters):
    answer = client.get("/v1/recommendations", params={"user_id": "user 002"} | parameters)
    assert answer.status_code == 200, answer.text
    return [row["target_id"] for row in answer.json()["recommendations"]]


@pytest.fixture
def grown(shop):
    """The model of the shop, with its whitening, and one item more that is a copy of another's text."""
    model = Model.load(shop)
    white = fit_whitening(market.visible(market.dataset()).vectors).of(market.visible(market.dataset()).vectors)
    row = model.catalogue.items.row("H-sea-candle-small")
    new = pl.DataFrame(
        [{"item_id": "new", "title": "sea candle small", "category": "Home > candle", "brand": "Sea", "price": 5.0}]
    )
    return model, model.recommender.with_items(new, model.catalogue, white[[row]]), row


def test_a_deleted_item_is_shown_to_nobody_and_comes_back_when_it_is_put(client, shop):
    first = listed(client)[0]
    answer = client.delete(f"/v1/items/{first}")
    assert answer.json() == {"item_id": first, "release": Model.load(shop).release, "recommendable": False}
    assert first not in listed(client, n=90)
    similar = client.get("/v1/similar", params={"item_id": "B-sea-soap-small", "n": 90}).json()["recommendations"]
    assert first not in [row["target_id"] for row in similar]
    assert client.delete("/v1/items", params={"item_id": "none"}).status_code == 404


def test_a_deletion_outlives_the_process(shop):
    with served.client(shop) as client:
        first = listed(client)[0]
        client.delete(f"/v1/items/{first}").raise_for_status()
    with served.client(Shop.open(shop.path)) as client:
        assert first not in listed(client, n=90)
    assert first not in Model.load(Shop.open(shop.path)).recommend("user 002", 90)["target_id"]


def test_a_new_item_is_proposed_where_its_text_reads_like_the_history(grown):
    model, more, _ = grown
    assert more.rows.tolist() == [96]
    assert more.recommender.signals.arrivals.tolist() == [96]
    user = model.histories_of(["user 002"])  # of the theme sea
    histories = type(user)(user.indptr, user.items, user.times, user.events, 97, user.timed)
    _, proposed = more.recommender.signals.propose(histories, None)
    assert 96 in proposed
    _, without = model.recommender.signals.propose(user, None)
    assert 96 not in without


def test_what_a_new_item_says_of_itself_is_what_the_sources_read(grown):
    model, more, twin = grown
    signals = more.recommender.signals.signals
    own = model.recommender.signals.signals
    assert signals["popularity"].source.scores[96] == 0
    assert signals["profile"].source.vectors[signals["profile"].source.text_of[96]] == pytest.approx(
        own["profile"].source.vectors[own["profile"].source.text_of[twin]], abs=1e-5
    )
    adapted = signals["adapted"].source
    assert adapted.vectors[adapted.text_of[96]] == pytest.approx(
        own["adapted"].source.vectors[own["adapted"].source.text_of[twin]], abs=1e-5
    )
    assert signals["brand"].source.group[96] == own["brand"].source.group[twin]
    # The mean of the texts of its category that read most like it: above 0, where all of them are
    assert 0 < signals["text_popularity"].source.scores[96] <= own["text_popularity"].source.scores.max()


def test_the_lists_of_old_items_stay_what_they_were(grown):
    model, more, _ = grown
    later = Model(model.release, more.recommender, more.catalogue, model.users, model.histories)
    later.histories = type(model.histories)(
        model.histories.indptr, model.histories.items, model.histories.times, model.histories.events, 97, True
    )
    users = ["user 000", "user 005", "user 101", "nobody"]
    before = model.recommend(users, 12)
    after = later.recommend(users, 12, deny=["new"])
    assert after["target_id"].to_list() == before["target_id"].to_list()
    assert after["score"].to_list() == pytest.approx(before["score"].to_list(), abs=1e-6)


def test_a_new_category_and_brand_get_codes_behind_the_old(grown):
    model, _, _ = grown
    new = pl.DataFrame([{"item_id": "new", "title": "sea lamp", "category": "Aa > Lamps", "brand": "Aa", "price": 1.0}])
    catalogue, rows = model.catalogue.with_items(new)
    assert catalogue.categories == (*model.catalogue.categories, "Aa")
    assert catalogue.category[rows].tolist() == [len(model.catalogue.categories)]
    assert catalogue.category[:96].tolist() == model.catalogue.category.tolist()
    changed = pl.DataFrame(
        [{"item_id": "B-sea-soap-small", "title": "t", "category": None, "brand": None, "price": 3.0}]
    )
    catalogue, rows = model.catalogue.with_items(changed)
    assert (len(catalogue), catalogue.items.id(rows[0])) == (96, "B-sea-soap-small")
    assert (catalogue.price[rows[0]], catalogue.brand[rows[0]]) == (3.0, -1)
    assert catalogue.frame["title"][int(rows[0])] == "t"


def test_a_release_without_an_encoder_says_that_it_takes_no_items(client):
    answer = client.put("/v1/items/new", json=NEW)
    assert answer.status_code == 409
    assert "Train again" in answer.json()["error"]["message"]


def test_what_a_release_does_not_take_keeps_nobody_from_hiding_others(client):
    first, second = listed(client)[:2]
    assert client.put("/v1/items/new", json=NEW).status_code == 409
    assert client.delete(f"/v1/items/{first}").status_code == 200
    assert client.put(f"/v1/items/{second}", json=NEW | {"available": False}).status_code == 409
    assert not {first, second} & set(listed(client, n=90))
    assert client.put("/v1/items/new", json=NEW).status_code == 409
    assert client.delete("/v1/items/new").status_code == 200
    assert client.delete("/v1/items/new").status_code == 404


def test_what_is_hidden_while_a_release_loads_is_hidden(shop, monkeypatch):
    with served.client(shop) as client:
        live, (first, second) = client.app.state.service.live, listed(client)[:2]
        load = Model.load

        def slow(*arguments, **options):
            model = load(*arguments, **options)
            live.items.delete(first)
            live.items.put(second, {"available": False})
            return model

        monkeypatch.setattr(Model, "load", slow)
        live.reload()
        assert not {first, second} & set(listed(client, n=90))


def test_a_stored_cell_that_does_not_fit_is_null():
    table = table_of([{"item_id": "a", "available": "yes", "price": "cheap"}, {"item_id": "b", "price": 2.5}])
    assert table.rows() == [("a", None, None), ("b", None, 2.5)]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"price": -1}, "price"),
        ({"colour": "red"}, "colour"),
        ({"title": "\ud800"}, "title"),
        ({"created_at": 1}, "created_at"),
        ({"attributes": {"available": "yes"}}, "available is a field of its own"),
        ({"attributes": {"item_id": "other"}}, "item_id is a field of its own"),
    ],
)
def test_a_fault_in_an_item_is_named(client, body, where):
    import json

    answer = client.put("/v1/items/new", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert where in answer.json()["error"]["message"]
