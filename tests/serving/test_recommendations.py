"""Over HTTP come the lists of the library and of the command line."""

import json
from urllib.parse import quote

import pytest

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.model import Model
from kuapin.workspace import Shop
from tests import served

SHOWN = ["rank", "kind", "target_id", "score", "reason_code", "reason"]
USER = "user 003"


def rows(table):
    return table.select(SHOWN).to_dicts()


def test_one_user_gets_the_same_from_library_command_line_and_service(client, shop, capfd):
    answer = client.get(f"/v1/users/{quote(USER)}/recommendations?n=5&explain=true").json()
    assert len(answer["recommendations"]) == 5
    model = Model.load(shop)
    assert answer["recommendations"] == rows(model.recommend(USER, n=5, explain=True))
    assert (answer["release"], answer["user_id"], answer["surface"]) == (model.release, USER, "products")
    capfd.readouterr()
    assert run(app, ["recommend", str(shop.path), "--user", USER, "-n", "5", "--explain", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert [row["target_id"] for row in said] == [row["target_id"] for row in answer["recommendations"]]
    assert [row["score"] for row in said] == [row["score"] for row in answer["recommendations"]]


def test_conditions_are_those_of_the_library(client, shop):
    model = Model.load(shop)
    answer = client.get(
        "/v1/recommendations",
        params={"user_id": USER, "n": 6, "category": ["Home", "Pets"], "per_category": 3, "deny": "H-oak-lamp-small"},
    ).json()
    expected = model.recommend(USER, 6, ["Home", "Pets"], per_category=3, deny=["H-oak-lamp-small"])
    assert answer["recommendations"] == rows(expected)


def test_an_offset_passes_over_the_beginning(client):
    whole = client.get("/v1/recommendations", params={"user_id": USER, "n": 10}).json()["recommendations"]
    rest = client.get("/v1/recommendations", params={"user_id": USER, "n": 4, "offset": 6}).json()["recommendations"]
    assert rest == whole[6:]
    assert rest[0]["rank"] == 7


def test_similar_items_are_those_of_the_library_and_keep_their_tag(client, shop):
    path = "/v1/items/B-rose-soap-small/similar"
    answer = client.get(path, params={"n": 3, "explain": True})
    assert answer.json()["recommendations"] == rows(Model.load(shop).similar("B-rose-soap-small", 3, explain=True))
    again = client.get(path, params={"n": 3, "explain": True}, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(path, params={"n": 4, "explain": True}, headers={"If-None-Match": answer.headers["etag"]})
    assert other.status_code == 200


def test_other_surfaces_are_those_of_the_library(client, shop):
    model = Model.load(shop)
    for surface in ("profile", "home"):
        answer = client.get(f"/v1/{surface}", params={"user_id": USER, "n": 4, "explain": True}).json()
        told = model.recommend(USER, 4, surface=surface, explain=True)
        more = ["surface"] if surface == "home" else []  # which gives the row
        assert answer["recommendations"] == told.select([*SHOWN, *more]).to_dicts()
        assert answer["recommendations"]
        assert answer["surface"] == surface


def test_a_surface_that_the_release_has_not_learnt_is_said(client):
    for path, parameters, name in (
        ("/v1/recommendations", {"user_id": USER, "surface": "trends"}, "trends"),
        ("/v1/items/B-rose-soap-small/bundle", {}, "bundles"),
    ):
        answer = client.get(path, params=parameters)
        assert answer.status_code == 422
        assert f"has learnt no {name}" in answer.json()["error"]["message"]
    assert client.get("/v1/bundle?item_id=none").status_code == 404


def test_an_erased_person_has_no_profile(client):
    assert client.get("/v1/profile", params={"user_id": USER}).json()["recommendations"]
    client.delete(f"/v1/users/{USER}").raise_for_status()
    assert client.get("/v1/profile", params={"user_id": USER}).json()["recommendations"] == []


def test_a_visitor_gets_the_lists_of_the_library(client, shop):
    met = ["B-rose-soap-small", "H-rose-candle-large"]
    answer = client.post("/v1/recommendations", json={"history": met, "n": 5}).json()
    assert answer["recommendations"] == rows(Model.load(shop).recommend_visitor(met, 5))
    assert (answer["basis"], answer["user_id"]) == ("session", None)
    seen = [{"item_id": item, "event": "impression"} for item in met]
    assert client.post("/v1/recommendations", json={"history": seen}).json()["basis"] == "shop_popular"


def test_what_a_list_rests_on_is_said_in_a_fixed_order(client):
    def basis(**parameters):
        return client.get("/v1/recommendations", params=parameters).json()["basis"]

    assert basis(user_id=USER, session_id="s", category="Home") == "personal"
    assert basis(user_id="nobody", category="Home") == "category_popular"
    assert basis(user_id="nobody") == "shop_popular"
    event = {"user_id": "guest", "item_id": "B-rose-soap-small", "session_id": "s"}
    client.post("/v1/interactions", json={"interactions": [event]}).raise_for_status()
    assert basis(user_id="nobody", session_id="s", category="Home") == "session"
    assert client.post("/v1/recommendations", json={}).json()["basis"] == "shop_popular"


def test_an_odd_id_goes_into_the_query(client):
    odd = "a/b?c#d 跨品\0\\0"
    client.post("/v1/interactions", json={"interactions": [{"user_id": odd, "item_id": "P-sea-bed-small"}]})
    answer = client.get("/v1/recommendations", params={"user_id": odd}).json()
    assert (answer["user_id"], answer["basis"]) == (odd, "personal")


def test_an_event_counts_in_the_very_next_list(client, shop):
    def first(user):
        return client.get("/v1/recommendations", params={"user_id": user}).json()

    assert first("new")["basis"] == "shop_popular"
    for place in range(3):
        event = {"user_id": "new", "item_id": "P-sea-bed-small", "event": "purchase", "event_id": f"e{place}"}
        assert client.post("/v1/interactions", json={"interactions": [event]}).json() == {"added": 1, "known": 0}
    told = first("new")
    assert told["basis"] == "personal"
    assert sum("-sea-" in row["target_id"] for row in told["recommendations"]) > 5  # the taste that was shown
    # And it is what a library says that is opened afterwards
    after = Model.load(Shop.open(shop.path)).recommend("new")
    assert told["recommendations"] == rows(after)


def test_a_known_user_keeps_the_old_history_beside_the_new(client, shop):
    before = Model.load(shop)
    event = {"user_id": USER, "item_id": "P-sea-bed-small", "event": "purchase"}
    client.post("/v1/interactions", json={"interactions": [event] * 3}).raise_for_status()
    told = client.get("/v1/recommendations", params={"user_id": USER}).json()["recommendations"]
    after = Model.load(Shop.open(shop.path))
    assert after.histories_of([USER]).lengths[0] == before.histories_of([USER]).lengths[0] + 3
    assert told == rows(after.recommend(USER))
    assert told != rows(before.recommend(USER))


@pytest.mark.parametrize(
    ("parameters", "status", "code", "said"),
    [
        ({"user_id": USER, "n": 101}, 422, "invalid", "at most 100"),
        ({"user_id": USER, "n": 0}, 422, "invalid", "query.n"),
        ({"user_id": USER, "surface": "poems"}, 422, "invalid", "no surface 'poems'"),
        (
            {"user_id": USER, "surface": "home", "discovery": 0.5},
            422,
            "invalid",
            "discovery is for the surface products",
        ),
        ({"user_id": USER, "category": "Toys"}, 404, "not_found", "'Toys'"),
        ({}, 422, "invalid", "query.user_id"),
    ],
)
def test_a_fault_has_one_shape_and_says_the_rule(client, parameters, status, code, said):
    answer = client.get("/v1/recommendations", params=parameters, headers={"X-Request-ID": "mine-1"})
    assert answer.status_code == status
    told = answer.json()
    assert set(told) == {"error", "request_id"}
    assert set(told["error"]) == {"code", "message", "details"}
    assert told["error"]["code"] == code
    assert said in told["error"]["message"]
    assert told["request_id"] == answer.headers["x-request-id"] == "mine-1"


def test_unknown_paths_methods_and_items_have_it_too(client):
    for answer, status in (
        (client.get("/nowhere"), 404),
        (client.put("/v1/recommendations"), 405),
        (client.get("/v1/items/none/similar"), 404),
        (client.post("/v1/recommendations", content=b"{"), 422),
        (client.post("/v1/recommendations", content=b"[" * 100_000), 422),
    ):
        assert answer.status_code in (status, 400)
        assert set(answer.json()) == {"error", "request_id"}


def test_a_request_id_that_is_no_id_is_replaced(client):
    answer = client.get("/health/live", headers={"X-Request-ID": "x" * 65})
    assert answer.headers["x-request-id"] != "x" * 65


def test_health_and_metrics(client):
    assert client.get("/health/live").json()["status"] == "ok"
    assert client.get("/health/ready").json()["status"] == "ok"
    client.get("/v1/recommendations", params={"user_id": USER})
    text = client.get("/metrics").text
    assert 'kuapin_lists_total{basis="personal"' in text
    assert 'kuapin_requests_total{method="GET",route="/v1/recommendations",status="200"} 1.0' in text
    assert USER not in text
    client.request("MADEUP", "/v1/recommendations")
    assert 'method="other"' in client.get("/metrics").text


def test_the_document_has_every_route_with_its_errors_and_examples(client):
    document = client.get("/openapi.json").json()
    paths = set(document["paths"])
    assert {"/v1/users/{user_id}/recommendations", "/v1/interactions", "/v1/items/{item_id}", "/v1/models"} <= paths
    assert document["components"]["schemas"]["InteractionsIn"]["examples"]
    for operations in document["paths"].values():
        for operation in operations.values():
            for status in set(operation["responses"]) - {"200", "202", "204"}:
                schema = operation["responses"][status]["content"]["application/json"]["schema"]["$ref"]
                assert schema.endswith(("ErrorOut", "HealthOut"))


def test_a_shop_without_a_release_does_not_start(tmp_path):
    empty = Shop.init(tmp_path / "empty")
    with pytest.raises(Exception, match="has no model yet"), served.client(empty):
        pass


@pytest.mark.parametrize("who", [{"user_id": USER}, {"user_id": "nobody"}, {"session_id": "s"}])
def test_pages_of_a_list_that_tries_items_show_none_twice(shop, who):
    (shop.path / "kuapin.toml").write_text("[exploration]\nshare = 0.3\n")
    with served.client(Shop.open(shop.path)) as client:

        def page(offset, n=10):
            asked = who | {"n": n, "offset": offset}
            visitor = "user_id" not in who
            answer = (
                client.post("/v1/recommendations", json=asked)
                if visitor
                else client.get("/v1/recommendations", params=asked)
            )
            return answer.json()["recommendations"]

        pages = [page(offset) for offset in (0, 10, 20)]
        shown = [row["target_id"] for one in pages for row in one]
        assert len(set(shown)) == 30
        assert [row["rank"] for one in pages for row in one] == list(range(1, 31))
        assert pages == [page(offset) for offset in (0, 10, 20)]
