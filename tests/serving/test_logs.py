"""The log: one JSON object a line, requests with their ids, nothing of a person."""

import io
import json
import logging
import logging.config
import re

import pytest

from kuapin.serving.logs import log_config
from tests import served
from tests.listening import Process

USER, SECRET, ITEM = "jane.doe@example.org", "kuapin_000000000000_" + "S" * 43, "H-oak-lamp-small"


@pytest.fixture
def lines():
    """What was logged so far, as objects."""
    config, written = log_config(quiet=False), io.StringIO()
    config["handlers"]["out"]["stream"] = written
    logging.config.dictConfig(config)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"handlers": []}})


def test_a_request_is_one_line_with_its_id_and_nothing_of_the_person(shop, lines):
    with served.client(shop, keys=True) as client:
        key = served.key(shop, "recommend", "write")
        headers = {"X-API-Key": key, "X-Request-ID": "r-1"}
        client.get(f"/v1/users/{USER}/recommendations", headers=headers).raise_for_status()
        client.get("/v1/recommendations", params={"user_id": USER}, headers=headers).raise_for_status()
        event = {"user_id": USER, "item_id": ITEM, "event": "review", "text": "Write to jane.doe@example.org"}
        client.post("/v1/interactions", json={"interactions": [event]}, headers=headers).raise_for_status()
        assert client.get("/v1/home", params={"user_id": USER}, headers={"X-API-Key": SECRET}).status_code == 401
    found = lines()
    requests = [line for line in found if line["message"] == "request"]
    first = requests[0]
    assert first.pop("time").endswith("+00:00")
    assert 0 < first.pop("ms") < 60_000
    assert first == {
        "level": "info",
        "logger": "kuapin.serving",
        "message": "request",
        "request_id": "r-1",
        "method": "GET",
        "route": "/v1/users/{user_id}/recommendations",
        "status": 200,
        "key": key.split("_")[1],
    }
    assert [(line["route"], line["status"], line["key"]) for line in requests[1:]] == [
        ("/v1/recommendations", 200, key.split("_")[1]),
        ("/v1/interactions", 200, key.split("_")[1]),
        ("/v1/home", 401, None),
    ]
    assert re.search("jane|example.org|SSSS|oak", json.dumps(found)) is None


def test_what_fails_is_found_by_the_id_that_the_caller_was_told(shop, lines):
    with served.client(shop) as client:

        def fail(*_arguments, **_options):
            raise RuntimeError(USER)

        client.app.state.service.live.current.model.answer = fail
        answer = client.get("/v1/recommendations", params={"user_id": USER})
        assert answer.status_code == 500
    found = lines()
    (failed,) = [line for line in found if line["level"] == "error"]
    assert failed["request_id"] == answer.json()["request_id"]
    assert failed["exception"] == "RuntimeError"
    assert re.search(r"test_logs\.py:\d+ fail$", failed["at"][-1])
    assert "jane" not in json.dumps(found)


def test_what_the_database_quotes_is_not_repeated(client, lines):
    """A driver's words about a row hold the row."""
    from kuapin.data.sql.schema import INTERACTIONS
    from kuapin.errors import StoreError

    database = client.app.state.service.store.database
    row = {"event_id": USER, "user_id": USER, "timestamp": 1, "event": "view", "received_at": 1}
    with pytest.raises(StoreError, match="the log says why"), database.writing() as connection:
        connection.execute(INTERACTIONS.insert(), [row, row])
    (line,) = [line for line in lines() if line["level"] == "warning"]
    assert line["message"] == "The database did not do it: IntegrityError"


def test_the_process_logs_nothing_but_json(shop):
    process = Process(shop)
    process.ask("GET", "/v1/recommendations?user_id=u")
    assert process.stop() == 0
    first, second, *rest = (shop.path.parent / "log").read_text().splitlines()
    assert first.startswith("Listening on")  # for people, and so is the next
    assert second.startswith("To look at it")
    found = [json.loads(line) for line in rest]
    assert {"request", "Application startup complete."} <= {line["message"] for line in found}
    assert {line["route"] for line in found if line["message"] == "request"} >= {"/v1/recommendations", "/health/ready"}


def test_quiet_leaves_requests_out(shop):
    process = Process(shop, "--quiet")
    process.ask("GET", "/v1/recommendations?user_id=u")
    assert process.stop() == 0
    assert (shop.path.parent / "log").read_text() == ""
