"""A release takes another's place while requests come: none is lost, none is mixed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.workspace import Shop
from tests import served

USERS = [f"user {number:03d}" for number in range(12)]


def ids(answer):
    return [row["target_id"] for row in answer["recommendations"]]


@pytest.fixture
def two(shop):
    """Two releases that give other lists; the first is live."""
    first = Releases(shop.models).live()
    return first, served.publish(shop, candidates=40, activate=False)


def test_releases_are_listed_activated_and_rolled_back(client, shop, two):
    first, second = two
    listed = client.get("/v1/models", params={"limit": 1}).json()
    assert (listed["total"], listed["releases"][0]["version"], listed["releases"][0]["live"]) == (2, second, False)
    assert client.get("/v1/models", params={"offset": 1}).json()["releases"][0]["version"] == first
    assert client.post(f"/v1/models/{second}/activate").json() == {"release": second}
    assert client.get("/v1/recommendations", params={"user_id": "u"}).json()["release"] == second
    assert Releases(shop.models).live() == second
    assert client.post("/v1/models/rollback").json() == {"release": first}
    assert Releases(shop.models).live() == first
    assert client.post("/v1/models/none/activate").status_code == 404
    assert client.get("/v1/recommendations", params={"user_id": "u"}).json()["release"] == first


def test_every_answer_is_wholly_of_the_release_that_it_names(shop, two):
    expected = {}
    for version in two:
        model = Model.load(shop, version=version)
        expected[version] = {user: model.recommend(user, 8)["target_id"].to_list() for user in USERS}
    assert any(expected[two[0]][user] != expected[two[1]][user] for user in USERS)
    with served.client(shop) as client:
        stop = threading.Event()

        def ask(user):
            answers = []
            while not stop.is_set():
                answer = client.get("/v1/recommendations", params={"user_id": user, "n": 8})
                answers.append((user, answer.status_code, answer.json()))
            return answers

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask, user) for user in USERS[:4]]
            for version in (two[1], two[0], two[1]):
                client.post(f"/v1/models/{version}/activate").raise_for_status()
            stop.set()
            answers = [one for task in asking for one in task.result()]
    assert {status for _, status, _ in answers} == {200}
    assert {answer["release"] for _, _, answer in answers} == set(two)
    for user, _, answer in answers:
        assert ids(answer) == expected[answer["release"]][user]


def test_what_the_command_line_publishes_is_taken_over(shop, two):
    with served.client(shop, watch_seconds=0.05) as client:
        assert run(app, ["publish", str(shop.path), two[1]]) == 0
        client.app.state.service.live.follow()
        assert client.get("/v1/recommendations", params={"user_id": "u"}).json()["release"] == two[1]


def test_a_torn_release_is_refused_and_the_live_one_answers_on(shop, two):
    (shop.models / two[1] / "recommender.json").write_text("{")
    with served.client(shop) as client:
        answer = client.post(f"/v1/models/{two[1]}/activate")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "refused")
        assert Releases(shop.models).live() == two[0]
        current = shop.models / "current"  # even where somebody forces it
        current.write_text(current.read_text().replace(two[0], two[1], 1))
        client.app.state.service.live.follow()
        assert client.get("/v1/recommendations", params={"user_id": "u"}).json()["release"] == two[0]


def test_events_from_before_a_switch_count_after_it(shop, two):
    with served.client(shop) as client:
        event = {"user_id": "new", "item_id": "P-sea-bed-small", "event": "purchase"}
        client.post("/v1/interactions", json={"interactions": [event]}).raise_for_status()
        client.post(f"/v1/models/{two[1]}/activate").raise_for_status()
        answer = client.get("/v1/recommendations", params={"user_id": "new"}).json()
        assert (answer["basis"], answer["release"]) == ("personal", two[1])
        live = client.app.state.service.live.current
        assert live.model.histories_of(["new"]).lengths.tolist() == [1]  # loaded, and not counted twice
        assert ids(answer) == Model.load(Shop.open(shop.path)).recommend("new")["target_id"].to_list()
