"""Two releases on people: everybody keeps the one that he got, figures count a person once, and an answer ends it."""

import time

import numpy as np
import pytest

from kuapin.data.sql.database import open_database
from kuapin.data.sql.experiments import Experiment, ExperimentStore, Exposed, Terms
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.serving.experiments import standing
from tests import served

USERS = [f"user {number:03d}" for number in range(40)]
SOAP, LAMP = "B-rose-soap-small", "H-oak-lamp-large"
HOUR = 3600


@pytest.fixture
def two(shop):
    """Two releases that give other lists; the first is live."""
    return Releases(shop.models).live(), served.publish(shop, candidates=40, activate=False)


def start(client, challenger, **terms):
    answer = client.post("/v1/experiments", json={"challenger": challenger} | terms)
    assert answer.status_code == 200, answer.text
    return answer.json()


def release_of(client, user):
    return client.get("/v1/recommendations", params={"user_id": user}).json()["release"]


def test_people_are_divided_as_agreed_and_keep_what_they_got(shop, two):
    expected = {version: Model.load(shop, version=version) for version in two}
    with served.client(shop) as client:
        one = start(client, two[1])
        assert (one["control"], one["challenger"], one["decision"], one["ended_at"]) == (*two, None, None)
        answers = {user: client.get("/v1/recommendations", params={"user_id": user}).json() for user in USERS}
        for user, answer in answers.items():
            rows = expected[answer["release"]].recommend(user)["target_id"].to_list()
            assert [row["target_id"] for row in answer["recommendations"]] == rows
            home = client.get("/v1/home", params={"user_id": user, "n": 3}).json()
            assert home["release"] == answer["release"]
        got = {user: answer["release"] for user, answer in answers.items()}
        assert 10 <= sum(release == two[1] for release in got.values()) <= 30
        assert client.post("/v1/recommendations", json={}).json()["release"] == two[0]
    with served.client(shop) as client:  # another process, or the same one later
        client.app.state.service.experiments.follow()
        assert {user: release_of(client, user) for user in USERS} == got
        stopped = client.post(f"/v1/experiments/{one['experiment_id']}/stop").json()
        assert stopped["decision"] == "stopped"
        assert {release_of(client, user) for user in USERS} == {two[0]}
        assert client.get("/v1/experiments").json()["experiments"] == [stopped]


def test_other_experiments_divide_people_otherwise():
    terms = Terms(share=0.2)
    taken = [
        [Experiment(name, "a", "b", terms, 0).takes(f"user {number}") for number in range(10_000)]
        for name in ("one", "two")
    ]
    assert [abs(np.mean(one) - 0.2) < 0.015 for one in taken] == [True, True]
    assert abs(np.mean(np.array(taken[0]) & np.array(taken[1])) - 0.04) < 0.01


def test_one_runs_at_a_time_and_against_another_release(client, two, shop):
    del shop
    assert client.post("/v1/experiments", json={"challenger": "none"}).status_code == 404
    assert client.post("/v1/experiments", json={"challenger": two[0]}).status_code == 409
    one = start(client, two[1])
    again = client.post("/v1/experiments", json={"challenger": two[1]})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "refused")
    assert client.get(f"/v1/experiments/{one['experiment_id']}").json()["control_users"] == 0
    assert client.get("/v1/experiments/none").status_code == 404
    assert client.post("/v1/experiments/none/stop").status_code == 404
    assert client.post("/v1/experiments", json={"challenger": two[1], "share": 1.5}).status_code == 422


def test_it_ends_with_the_release_that_it_compares(shop, two):
    with served.client(shop, watch_seconds=30) as client:
        one = start(client, two[1])
        client.post(f"/v1/models/{two[1]}/activate").raise_for_status()
        assert {release_of(client, user) for user in USERS[:8]} == {two[1]}
        client.app.state.service.experiments.follow()
        ended = client.get(f"/v1/experiments/{one['experiment_id']}").json()
        assert ended["decision"] == "interrupted"


def test_it_goes_on_after_an_erasure_and_what_lost_goes_at_its_end(shop, two):
    other = served.publish(shop, candidates=41, activate=False)
    with served.client(shop, watch_seconds=30) as client:
        service = client.app.state.service
        one = start(client, two[1])
        got = {user: release_of(client, user) for user in USERS}
        asked = [next(user for user in USERS if got[user] == version) for version in two]
        for user in asked:
            remains = client.delete(f"/v1/users/{user}").json()["remains"]
            assert [version for version in two for line in remains if version in line] == list(two)
        assert not (shop.models / other).exists()
        service.experiments.follow()
        service.live.current = service.live._loaded(two[0])  # and the other could not be read
        service.tidy()
        for live in (service.live.current, service.live.beside[1]):
            assert (live.model.users.rows(asked) == -1).all()
        assert {user: release_of(client, user) for user in USERS} == got
        assert client.get("/v1/recommendations", params={"user_id": asked[1]}).json()["basis"] == "shop_popular"
        assert client.get(f"/v1/experiments/{one['experiment_id']}").json()["ended_at"] is None
        client.post(f"/v1/experiments/{one['experiment_id']}/stop").raise_for_status()
    assert [version.version for version in Releases(shop.models).versions()] == [two[0]]


def test_its_end_takes_no_release_where_nobody_was_erased(shop, two):
    with served.client(shop) as client:
        one = start(client, two[1])
        client.post(f"/v1/experiments/{one['experiment_id']}/stop").raise_for_status()
    assert {version.version for version in Releases(shop.models).versions()} == set(two)


def test_items_that_go_are_shown_by_neither(shop, two):
    with served.client(shop) as client:
        start(client, two[1])
        user = next(user for user in USERS if release_of(client, user) == two[1])
        first = client.get("/v1/recommendations", params={"user_id": user}).json()["recommendations"][0]["target_id"]
        client.delete(f"/v1/items/{first}").raise_for_status()
        again = client.get("/v1/recommendations", params={"user_id": user, "n": 90}).json()
        assert again["release"] == two[1]
        assert first not in [row["target_id"] for row in again["recommendations"]]


def test_events_are_kept_for_as_long_as_it_takes(shop, two):
    with served.client(shop, retention_days=7) as client:
        answer = client.post("/v1/experiments", json={"challenger": two[1], "most_days": 8})
        assert (answer.status_code, "at most" in answer.json()["error"]["message"]) == (422, True)


# -- figures --------------------------------------------------------------------------------------------------------


def shown(user, ranking, item, at, event="impression", surface="products"):
    row = {"event_id": f"{user} {ranking} {item} {event} {at}", "user_id": user, "item_id": item, "event": event}
    return row | {"timestamp": 1, "ranking_id": ranking, "surface": surface, "received_at": at}


def test_a_person_counts_once_in_the_own_group_by_what_followed_in_the_window(tmp_path):
    import sqlalchemy as sa

    from kuapin.data.sql.schema import INTERACTIONS

    database = open_database(f"sqlite:///{tmp_path}/service.sqlite")
    store = ExperimentStore(database)
    one = store.start("a", "b", Terms(window_hours=1, outcome="purchase"))
    t = one.started_at
    rows = [
        shown("before", "r0", SOAP, t - 5),
        shown("none", "r1", SOAP, t),
        shown("yes", "r2", SOAP, t + 1),
        shown("yes", "r3", SOAP, t + 2),
        shown("yes", "r3", SOAP, t + 3, "purchase"),
        shown("yes", "r3", SOAP, t + 4, "purchase"),
        shown("late", "r4", SOAP, t + 4),
        shown("late", "r4", SOAP, t + 4 + HOUR, "purchase"),
        shown("other item", "r5", SOAP, t + 5),
        shown("other item", "r5", LAMP, t + 6, "purchase"),
        shown("other surface", "r6", SOAP, t + 6, surface="home"),
        shown("other event", "r7", SOAP, t + 7),
        shown("other event", "r7", SOAP, t + 8, "click"),
        shown("open", "r8", SOAP, t + HOUR),
        shown("open", "r8", SOAP, t + HOUR + 1, "purchase"),
    ]
    with database.writing() as connection:
        connection.execute(sa.insert(INTERACTIONS), rows)
    found = store.exposed(one, t + HOUR + 10)
    order = ["none", "yes", "late", "other item", "other event"]
    assert found.treated.tolist() == [one.takes(user) for user in order]
    assert found.reached.tolist() == [False, True, False, False, False]
    assert found.waiting == 1
    later = store.exposed(one, t + 3 * HOUR)
    assert (later.reached.tolist(), later.waiting) == ([*found.reached.tolist(), True], 0)
    database.close()


def people(n, control, challenger, share=0.5, seed=0):
    rng = np.random.default_rng(seed)
    treated = rng.random(n) < share
    return Exposed(treated, rng.random(n) < np.where(treated, challenger, control), 0)


@pytest.mark.parametrize(
    ("exposed", "terms", "overdue", "decision"),
    [
        (people(4_000, 0.1, 0.16), Terms(), False, "better"),
        (people(4_000, 0.16, 0.1), Terms(), False, "worse"),
        (people(4_000, 0.1, 0.16), Terms(least_users=2_500), False, None),
        (people(300, 0.01, 0.10), Terms(least_users=100), False, None),  # too little happened to tell
        (people(2_000, 0.1, 0.1), Terms(), False, None),
        (people(2_000, 0.1, 0.1), Terms(), True, "undecided"),
        (people(60_000, 0.5, 0.5), Terms(smallest=0.06), False, "no difference"),
        (people(4_000, 0.1, 0.1, share=0.4), Terms(), False, "mismatch"),
        (people(0, 0.1, 0.1), Terms(), False, None),
        (people(0, 0.1, 0.1), Terms(), True, "undecided"),
    ],
)
def test_what_ends_it(exposed, terms, overdue, decision):
    found = standing(terms, exposed, overdue=overdue)
    assert found.decision == decision
    if decision == "better":
        assert 0 < found.low < found.difference < found.high
        assert found.challenger_rate == pytest.approx(exposed.reached[exposed.treated].mean())


@pytest.mark.parametrize("activate", [False, True])
def test_an_answer_ends_it_and_the_winner_goes_live_where_that_was_agreed(shop, two, activate):
    with served.client(shop) as client:
        experiments = client.app.state.service.experiments
        start(client, two[1], window_hours=1, least_users=20, activate=activate, outcome="purchase")
        one = experiments.store.running()
        body, bought = [], []
        for number in range(400):
            user = f"u {number}"
            same = {"user_id": user, "ranking_id": f"r {number}"}
            items = [{"item_id": SOAP, "position": 1}]
            body.append(same | {"release": two[int(one.takes(user))], "items": items})
            if number % 10 < (8 if one.takes(user) else 2):
                bought.append(same | {"item_id": SOAP, "event": "purchase"})
        client.post("/v1/impressions", json={"impressions": body}).raise_for_status()
        client.post("/v1/interactions", json={"interactions": bought}).raise_for_status()
        experiments.look()
        assert client.get(f"/v1/experiments/{one.experiment_id}").json()["waiting_users"] == 400
        experiments.clock = lambda: time.time() + HOUR + 5
        experiments.look()
        told = client.get(f"/v1/experiments/{one.experiment_id}").json()
        assert told["decision"] == "better"
        assert (told["control_users"] + told["challenger_users"], told["waiting_users"]) == (400, 0)
        assert told["difference"] == pytest.approx(0.6, abs=0.1)
        assert told["ended_at"] is not None
        assert {release_of(client, user) for user in USERS} == {two[int(activate)]}
        assert Releases(shop.models).live() == two[int(activate)]
        experiments.look()  # what has ended has no second end
        assert client.get("/v1/experiments").json()["experiments"] == [told]
