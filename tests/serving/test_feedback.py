"""What people did and were shown: counted once, linked, and without what says who they are."""

import json
import socket
import time

import polars as pl
import pytest

from kuapin.service_settings import ServiceConfig
from kuapin.surfaces.home_strategies import HomeStrategies
from kuapin.workspace import Shop
from tests import served


def send(client, *events):
    answer = client.post("/v1/interactions", json={"interactions": list(events)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(ranking, user, *items, release="r1", **more):
    places = [{"item_id": item, "position": place, "propensity": 0.5} for place, item in enumerate(items, 1)]
    return {"ranking_id": ranking, "user_id": user, "release": release, "items": places} | more


def stored(shop):
    return Shop.open(shop.path).store.read("interactions").filter(pl.col("user_id").str.starts_with("u-"))


def test_a_batch_that_is_sent_again_counts_once(client, shop):
    batch = [{"event_id": f"e{k}", "user_id": "u-1", "item_id": "B-rose-soap-small"} for k in range(3)]
    assert send(client, *batch) == {"added": 3, "known": 0}
    assert send(client, *batch[1:], {"event_id": "e9", "user_id": "u-1", "item_id": "x"}) == {"added": 1, "known": 2}
    assert stored(shop).height == 4


def test_without_an_id_the_content_is_the_id(client, shop):
    event = {"user_id": "u-1", "item_id": "x", "timestamp": 1_700_000_000}
    assert send(client, event, event) == {"added": 2, "known": 0}  # two in one batch are two
    assert send(client, event, event) == {"added": 0, "known": 2}
    assert send(client, event | {"value": 1.5}) == {"added": 1, "known": 0}


def test_everything_that_is_sent_is_kept(client, shop):
    event = {
        "event_id": "e1", "user_id": "u-1", "item_id": "x", "timestamp": 1_700_000_000, "event": "rating", "value": 4.5,
        "text": "nice", "basket_id": "b", "session_id": "s", "campaign_id": "k", "ranking_id": "r", "query": None,
    }  # fmt: skip
    send(client, event)
    row = stored(shop).row(0, named=True)
    assert {name: row[name] for name in event} == event


def test_texts_are_masked_before_they_are_stored(client, shop):
    text = "Hi, my name is Brandy Arnold, +1-780-563-6083, brandy@example.org"
    send(client, {"user_id": "u-1", "item_id": "x", "event": "review", "text": text})
    send(client, {"user_id": "u-2", "event": "search", "query": "shoes for 13812345678"})
    table = stored(shop).sort("user_id")
    assert table["text"].to_list() == ["Hi, my name is [NAME], [PHONE], [EMAIL]", None]
    assert table["query"].to_list() == [None, "shoes for [PHONE]"]
    for path in shop.path.glob("service.sqlite*"):
        assert b"Brandy" not in path.read_bytes()


def test_searches_and_impressions_are_no_history(client):
    send(client, {"user_id": "u-1", "event": "search", "query": "lamp"})
    client.post("/v1/impressions", json={"impressions": [shown("r", "u-1", "B-rose-soap-small")]}).raise_for_status()
    assert client.get("/v1/recommendations", params={"user_id": "u-1"}).json()["basis"] == "shop_popular"


def test_one_list_that_two_people_were_shown_is_two(client):
    impressions = [shown("r/1", "u-1", "x"), shown("r/1", "u-2", "x"), shown("r", "u-1", "x")]
    impressions[2]["items"][0]["position"] = 1
    assert client.post("/v1/impressions", json={"impressions": impressions}).json() == {"added": 3, "known": 0}


def test_clicks_and_purchases_are_counted_for_the_release_and_category_that_showed_the_item(client):
    soap, lamp = "B-rose-soap-small", "H-oak-lamp-large"
    impressions = [
        shown("r1", "u-1", soap, lamp),
        shown("r2", "u-2", soap, release="r2"),
        shown("r3", "u-3", soap, "unknown"),
        shown("r4", "u-4", soap, timestamp=int(time.time()) - 40 * 86_400),
    ]
    assert client.post("/v1/impressions", json={"impressions": impressions}).json() == {"added": 6, "known": 0}
    assert client.post("/v1/impressions", json={"impressions": impressions}).json() == {"added": 0, "known": 6}
    click = {"user_id": "u-1", "item_id": soap, "event": "click", "ranking_id": "r1"}
    send(client, click, click | {"timestamp": int(time.time()) - 5}, click | {"event": "purchase"})
    send(client, click | {"user_id": "u-2"}, click | {"item_id": lamp, "ranking_id": "r9"})  # of nothing that was shown
    send(client, {"user_id": "u-2", "item_id": soap, "event": "purchase", "ranking_id": "r2"})
    told = client.get("/v1/outcomes", params={"days": 30}).json()["outcomes"]
    assert [tuple(row.values()) for row in told] == [
        ("products", "r1", None, 1, 0, 0, 0.0, 0.0),
        ("products", "r1", "Beauty", 2, 1, 1, 0.5, 0.5),
        ("products", "r1", "Home", 1, 0, 0, 0.0, 0.0),
        ("products", "r2", "Beauty", 1, 0, 1, 0.0, 1.0),
    ]


@pytest.mark.parametrize(
    ("event", "where"),
    [
        ({"user_id": "u"}, "item_id is missing"),
        ({"user_id": "", "item_id": "x"}, "user_id"),
        ({"user_id": "u" * 513, "item_id": "x"}, "user_id"),
        ({"user_id": "u", "item_id": "x", "event": "stolen"}, "event"),
        ({"user_id": "u", "item_id": "x", "timestamp": 2**40}, "at most a day ahead"),
        ({"user_id": "u", "item_id": "x", "timestamp": 0}, "timestamp"),
        ({"user_id": "u", "item_id": "x", "colour": "red"}, "colour"),
    ],
)
def test_a_fault_in_an_event_is_named_and_nothing_is_stored(client, shop, event, where):
    answer = client.post("/v1/interactions", json={"interactions": [{"user_id": "u-1", "item_id": "x"}, event]})
    assert answer.status_code == 422
    assert where in answer.json()["error"]["message"]
    assert stored(shop).height == 0


def test_nothing_is_fetched(shop, monkeypatch):
    calls = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: calls.append(arguments) or [])
    monkeypatch.setattr(socket, "create_connection", lambda *arguments, **_: calls.append(arguments))
    with served.client(shop) as client:
        url = "http://169.254.169.254/latest"
        client.put("/v1/items/x", json={"title": url, "image": url, "attributes": {"link": url}})
        send(client, {"user_id": "u-1", "item_id": "x", "event": "review", "text": url})
        client.get("/v1/recommendations", params={"user_id": "u-1", "explain": True})
    assert calls == []


def test_what_a_place_tried_goes_round_with_its_propensity(shop):
    (shop.path / "kuapin.toml").write_text("[exploration]\nshare = 0.2\n")
    with served.client(Shop.open(shop.path)) as asking:
        answer = asking.get("/v1/recommendations", params={"user_id": "user 003", "n": 10}).json()
        chances = [row["propensity"] for row in answer["recommendations"]]
        assert [place for place, chance in enumerate(chances, 1) if chance < 1] == [5, 10]
        items = [
            {"item_id": row["target_id"], "position": row["rank"], "propensity": row["propensity"]}
            for row in answer["recommendations"]
        ]
        same = {key: answer[key] for key in ("ranking_id", "user_id", "release")}
        told = asking.post("/v1/impressions", json={"impressions": [{**same, "items": items}]})
        assert told.json() == {"added": 10, "known": 0}
    found = Shop.open(shop.path).store.read("interactions").filter(event="impression")
    assert found.sort("position")["propensity"].to_list() == chances


def test_a_body_of_a_megabyte_is_taken_and_one_byte_more_is_refused_in_one_line(shop):
    most = ServiceConfig().max_body_bytes
    assert most == 2**20
    with served.client(shop) as client:

        def send(size):
            texts = ["rose soap " * 90] * 1000
            event = {"user_id": "u", "item_id": "B-rose-soap-small", "event": "review"}
            body = {"interactions": [event | {"event_id": f"e{k}", "text": text} for k, text in enumerate(texts)]}
            content = json.dumps(body).encode()
            assert len(content) < size
            content += b" " * (size - len(content))
            return client.post("/v1/interactions", content=content, headers={"content-type": "application/json"})

        assert send(most).json() == {"added": 1000, "known": 0}
        refused = send(most + 1)
        assert refused.status_code == 413
        message = refused.json()["error"]["message"]
        assert message == "A body has at most 1,048,576 bytes. Send less at a time."
        assert len(client.app.state.service.events.table(["event_id"])) == 1000
        assert client.get("/v1/recommendations", params={"user_id": "u"}).json()["basis"] == "personal"


def test_what_is_told_of_a_mixed_home_page_is_learnt_from(shop):
    (shop.path / "kuapin.toml").write_text("[strategies]\nenabled = true\n")
    opened = Shop.open(shop.path)
    with served.client(opened) as asking:
        page = asking.get("/v1/home", params={"user_id": "user 003", "n": 10}).json()
        rows = page["recommendations"]
        surfaces = {row["surface"] for row in rows}
        assert {"products", "similar", "profile"} <= surfaces
        told = []
        for surface in surfaces:
            shown = [row for row in rows if row["surface"] == surface]
            items = [
                {"item_id": row["target_id"], "position": row["rank"], "propensity": row["propensity"]} for row in shown
            ]
            told.append(
                {key: page[key] for key in ("ranking_id", "user_id", "release")} | {"surface": surface, "items": items}
            )
        assert asking.post("/v1/impressions", json={"impressions": told}).json()["added"] == len(rows)
        clicked = {"user_id": "user 003", "item_id": rows[0]["target_id"], "event": "click"}
        send(asking, clicked | {"ranking_id": page["ranking_id"]})
    learnt = HomeStrategies.fit(Shop.open(shop.path).store.read("interactions"), opened.config.strategies)
    assert page["ranking_id"].startswith(learnt.known[learnt.pages.strategy[0]].name + ".")
    assert learnt.pages.reward.tolist() == [1 / len(rows)]
    assert learnt.pages.propensity[0] == rows[0]["propensity"] < 1
