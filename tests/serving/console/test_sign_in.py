"""Who gets in, and what a form from elsewhere can do: nothing."""

import logging
import re
import time

import pytest

from kuapin.data.sql.database import open_database
from kuapin.data.sql.keys import Keyring
from kuapin.serving.console.guard import own_path
from kuapin.serving.console.sessions import COOKIE, IDLE_S, LONGEST_S, Sessions
from tests import served
from tests.serving.console.asking import HOST, everybody, mark, send, signed_in

PAGES = (
    "/", "/?user=u", "/users.json?text=u", "/visitor", "/compare", "/rules", "/review", "/versions", "/reports",
    "/reports/x", "/launches", "/drift", "/outcomes", "/experiments", "/health", "/keys", "/nowhere",
)  # fmt: skip
CHANGES = (
    "/sign-out", "/review", "/review/apply", "/versions/activate", "/versions/rollback", "/keys", "/keys/rotate",
    "/keys/revoke", "/experiments", "/experiments/stop",
)  # fmt: skip
WRONG = "kuapin_0123456789ab_SECRETSECRETSECRETSECRETSECRETSECRETSECRET0"


@pytest.fixture
def door(bare):
    with served.client(bare, keys=True) as client:
        client.base_url = HOST
        yield client


def test_no_page_opens_without_a_session(door):
    routes = {
        (method, route.path)
        for route in door.app.routes
        if getattr(route, "path", "").startswith("/console")
        for method in route.methods
    }
    if not routes:  # routers that are kept as they were included
        from kuapin.serving.console.site import PAGES as ROUTERS

        routes = {(m, r.path) for one in ROUTERS for r in one.router.routes for m in r.methods}
    assert len(routes) > 25
    free = {"/console", "/console/sign-in", "/console/preferences", "/console/static/{name}"}
    assert {path for method, path in routes if method == "POST"} - free == {f"/console{path}" for path in CHANGES}
    for path in PAGES:
        answer = door.get(f"/console{path}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"][:21]) == (303, "/console/sign-in?next"), path
    for path in CHANGES:
        answer = door.post(f"/console{path}", data={"form": "0" * 64}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"][:16]) == (303, "/console/sign-in"), path
    assert door.get("/console", follow_redirects=False).headers["location"] == "/console/"


def test_a_key_without_the_scope_admin_does_not_open_it(bare, door):
    for scopes, status in ((["recommend", "write"], 401), (["admin"], 303)):
        key = served.key(bare, *scopes)
        answer = door.post("/console/sign-in", data={"key": key}, follow_redirects=False)
        assert answer.status_code == status
    assert door.get("/console/").status_code == 200


def test_the_cookie_is_for_this_site_alone_and_not_for_scripts(bare, door):
    key = served.key(bare, "admin")
    cookie = door.post("/console/sign-in", data={"key": key}, follow_redirects=False).headers["set-cookie"]
    assert re.search("HttpOnly", cookie)
    assert re.search("SameSite=strict", cookie, re.IGNORECASE)
    assert re.search("Path=/console", cookie)
    assert "Secure" not in cookie  # plain HTTP
    assert key not in cookie
    door.base_url = "https://127.0.0.1"
    cookie = door.post("/console/sign-in", data={"key": key}, follow_redirects=False).headers["set-cookie"]
    assert "Secure" in cookie


def test_a_wrong_key_is_told_counted_and_in_no_log(door, caplog):
    caplog.set_level(logging.DEBUG)
    answers = [door.post("/console/sign-in", data={"key": WRONG}) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
    assert "does not open the console" in answers[0].text
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "SECRET" not in "".join(answer.text for answer in answers)
    assert "SECRET" not in caplog.text


def test_a_session_ends_with_its_key_and_with_time(bare):
    ring = Keyring(open_database(bare.service_database()))
    key, text = ring.create("me", ["admin"])
    sessions, now = Sessions(ring, b"secret"), time.time()
    cookie = sessions.sign_in(text)
    assert sessions.read(cookie).key_id == key.key_id
    assert sessions.read(cookie, now + IDLE_S - 60) is not None
    assert sessions.read(cookie, now + IDLE_S + 1) is None
    late = sessions._cookie(key.key_id, int(now), int(now) + LONGEST_S - 60)
    assert sessions.read(late, now + LONGEST_S - 50) is not None
    assert sessions.read(late, now + LONGEST_S + 1) is None
    assert Sessions(ring, b"another").read(cookie) is None
    for made_up in (
        cookie[:-1] + ("0" if cookie[-1] != "0" else "1"),
        cookie.replace(key.key_id, "0" * 12),
        "",
        "a.b.c.d",
        "a.1",
    ):
        assert sessions.read(made_up) is None, made_up
    moved = cookie.split(".")
    moved[2] = str(int(moved[2]) + 5)
    assert sessions.read(".".join(moved)) is None
    ring.revoke(key.key_id)
    assert sessions.read(cookie) is None


def test_a_session_is_renewed_by_every_page_and_ended_by_signing_out(bare):
    with signed_in(bare) as (client, _):
        assert COOKIE in client.get("/console/keys").headers["set-cookie"]
        assert send(client, "/sign-out").headers["location"] == "/console/sign-in"
        assert client.get("/console/", follow_redirects=False).status_code == 303


def test_a_form_needs_the_mark_of_its_session_and_comes_from_this_site(bare):
    with signed_in(bare) as (client, _):
        good, fields = mark(client), {"name": "n", "scope": "recommend"}
        for form in ("", "0" * 64, good[:-1]):
            assert client.post("/console/keys", data=fields | {"form": form}).status_code == 403
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            assert client.post("/console/keys", data=fields | {"form": good}, headers=headers).status_code == 403
            assert client.post("/console/sign-in", data={"key": WRONG}, headers=headers).status_code == 403
        assert len(client.app.state.service.access.keyring.all()) == 1
        fine = {"Origin": HOST, "Sec-Fetch-Site": "same-origin"}
        assert client.post("/console/keys", data=fields | {"form": good}, headers=fine).status_code == 200
        assert len(client.app.state.service.access.keyring.all()) == 2


def test_without_keys_only_this_machine_by_its_own_name(bare):
    with everybody(bare) as client:
        assert client.get("/console/").status_code == 200
        assert client.get("/console/sign-in", follow_redirects=False).headers["location"] == "/console/"
        client.base_url = "http://rebound.example"
        assert client.get("/console/").status_code == 403


def test_after_signing_in_one_goes_on_to_a_page_of_the_console_and_nowhere_else(bare, door):
    key = served.key(bare, "admin")
    answer = door.post(
        "/console/sign-in", data={"key": key, "next": "/console/rules?user=a%20b"}, follow_redirects=False
    )
    assert answer.headers["location"] == "/console/rules?user=a%20b"
    for wanted in (
        "https://evil.example/console/", "//evil.example/console/", "/v1/models", "/console/\\evil", "javascript:x",
        "/console/sign-in", "/console/\r\nx: y", "",
    ):  # fmt: skip
        assert own_path(wanted) == "/console/", wanted


def test_a_browser_may_load_nothing_from_elsewhere(door):
    for path in ("/console/sign-in", "/console/static/console.css", "/console/"):
        headers = door.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert door.get("/console/sign-in").headers["cache-control"] == "no-store"
    assert door.get("/console/static/../console.py").status_code in (200, 404)
    assert "import" not in door.get("/console/static/console.py").text[:200]
    assert "/console" not in str(door.get("/openapi.json").json()["paths"].keys())
