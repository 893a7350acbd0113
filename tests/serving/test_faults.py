"""Faults of the machine around the service: a clear status, bounded memory, and it goes on without a restart."""

import contextlib
import json
import resource
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack

import psutil
import pytest

from kuapin.data.sql.database import open_database
from kuapin.data.sql.events import EventStore
from kuapin.model_folder import Releases
from kuapin.serving import clock, connections
from kuapin.serving.clock import Clock
from kuapin.workspace import Shop
from tests import databases, served
from tests.listening import Listening, Process

LIST = "/v1/recommendations?user_id=user%20003"
MEGABYTE = 1_000_000


def write(process, event_id, text=None):
    event = {"event_id": event_id, "user_id": "u", "item_id": "i", "event": "review", "text": text}
    return process.send("POST", "/v1/interactions", {"interactions": [event]})


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def kept(shop):
    database = open_database(shop.service_database())
    try:
        return set(EventStore(database).table(["event_id"])["event_id"])
    finally:
        database.close()


def refuses_and_goes_on(process, shop, fault, repair):
    """Events are refused with a clear 503 while a disk takes nothing; lists go on, and what was acknowledged stays."""
    acknowledged = [f"before-{k}" for k in range(5) if write(process, f"before-{k}")[0] == 200]
    assert len(acknowledged) == 5
    fault()
    statuses = []
    for k in range(400):
        status, text = write(process, f"during-{k}", "x" * 15_000)
        statuses.append(status)
        if status == 200:
            acknowledged.append(f"during-{k}")
        elif statuses.count(503) == 3:
            break
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) == 3
    error = json.loads(text)["error"]
    assert (error["code"], error["message"][:23]) == ("unavailable", "The database did not do")
    assert process.send("GET", LIST)[0] == 200
    repair()
    until(lambda: write(process, "after")[0] == 200)
    assert process.popen.poll() is None
    process.kill()
    assert {*acknowledged, "after"} <= kept(shop)


def test_a_full_disk_refuses_events_and_is_forgiven(tmp_path):
    with ExitStack() as stack:
        disk = databases.small_disk(stack, tmp_path / "disk", megabytes=24)
        shop = Shop.open(shutil.copytree(served.shop(tmp_path / "here").path, disk / "shop"))
        process = Process(shop)
        filler = disk / "filler"

        def fill():
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(b"x" * 4096):
                    pass

        refuses_and_goes_on(process, shop, fill, filler.unlink)


def test_a_disk_that_takes_nothing_more_refuses_events_and_is_forgiven(tmp_path):
    """The limit on the size of files stands for a disk that has become read-only under the running service."""
    shop = served.shop(tmp_path)
    process = Process(shop)
    pid, (soft, hard) = process.popen.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
    refuses_and_goes_on(
        process,
        shop,
        lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard)),
        lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard)),
    )


def test_a_read_only_disk_is_told_in_one_line(tmp_path):
    with ExitStack() as stack:
        disk = databases.small_disk(stack, tmp_path / "disk", megabytes=24)
        shop = Shop.open(shutil.copytree(served.shop(tmp_path / "here").path, disk / "shop"))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        found = served.command("serve", str(shop.path), "--without-keys", "--quiet", "--port", "0")
        assert found.returncode == 1
        assert len(found.stderr.strip().splitlines()) <= 2
        assert "read-only" in found.stderr


def test_a_database_that_is_gone_and_comes_back(tmp_path, monkeypatch):
    with databases.postgres_server(tmp_path / "postgres") as server:
        monkeypatch.setenv("KUAPIN_DATABASE", server.url)
        shop = served.shop(tmp_path / "shop")
        process = Process(shop)
        assert write(process, "before")[0] == 200
        server.stop()
        for method, path, body in (
            ("GET", LIST, None),
            ("POST", "/v1/interactions", {"interactions": [{"user_id": "u", "item_id": "i", "event": "view"}]}),
            ("PUT", "/v1/items/G-rose-pot-small", {"title": "rose pot"}),
        ):
            status, text = process.send(method, path, body)
            assert (status, json.loads(text)["error"]["code"]) == (503, "unavailable"), path
        assert process.send("GET", "/health/ready")[0] == 503
        assert process.send("GET", "/health/live")[0] == 200
        server.start()
        until(lambda: write(process, "after")[0] == 200)
        assert process.send("GET", LIST)[0] == 200
        assert process.send("GET", "/health/ready")[0] == 200
        process.kill()
        assert {"before", "after"} <= kept(shop)


def test_every_file_of_a_release_may_be_truncated_or_altered(shop):
    second = served.publish(shop, candidates=21, activate=False)
    first, folder = Releases(shop.models).live(), shop.models / second
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) > 10
    with served.client(shop) as client:
        for path in files:
            whole = path.read_bytes()
            middle = len(whole) // 2
            for damaged in (whole[:middle], b"", whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]):
                path.write_bytes(damaged)
                answer = client.post(f"/v1/models/{second}/activate")
                assert answer.status_code == 409, (path, len(damaged))
                assert second in answer.json()["error"]["message"]
            path.write_bytes(whole)
        assert client.get(LIST).json()["release"] == first
        assert client.post(f"/v1/models/{second}/activate").status_code == 200  # once it is whole again


def test_a_live_release_that_is_damaged_is_told_in_one_line(shop):
    live = shop.models / Releases(shop.models).live()
    (live / "recommender.json").write_text("{")
    found = served.command("serve", str(shop.path), "--without-keys", "--quiet", "--port", "0")
    assert found.returncode == 1
    assert live.name in found.stderr


@pytest.mark.parametrize("days", [400, -400])
def test_a_clock_that_jumps_loses_nothing(shop, monkeypatch, days):
    right = time.time
    with served.client(shop, retention_days=30) as client:
        event = {"event_id": "before", "user_id": "new", "item_id": "P-sea-bed-small", "event": "purchase"}
        client.post("/v1/interactions", json={"interactions": [event]}).raise_for_status()
        monkeypatch.setattr(time, "time", lambda: right() + days * 86_400)
        client.app.state.service.tidy()
        later = {"event_id": "after", "user_id": "new", "item_id": "P-sea-toy-small", "event": "purchase"}
        client.post("/v1/interactions", json={"interactions": [later]}).raise_for_status()
        assert client.get("/v1/recommendations", params={"user_id": "new"}).json()["basis"] == "personal"
        monkeypatch.undo()
        client.app.state.service.tidy()
        assert client.get("/v1/recommendations", params={"user_id": "new"}).status_code == 200
        table = client.app.state.service.events.table(["event_id"])["event_id"].to_list()
        assert table == ["before", "after"]


def test_a_service_that_starts_with_a_wrong_clock_deletes_nothing(shop, monkeypatch):
    right, event = time.time, {"user_id": "new", "item_id": "P-sea-bed-small", "event": "purchase"}

    def restarted(days, event_id):
        monkeypatch.setattr(time, "time", lambda: right() + days * 86_400)
        with served.client(shop, retention_days=30) as client:
            service = client.app.state.service
            service.tidy()
            body = {"interactions": [event | {"event_id": event_id, "timestamp": 1_700_000_000}]}
            client.post("/v1/interactions", json=body).raise_for_status()
            return len(service.events.table(["event_id"]))

    assert restarted(0, "before") == 1
    assert restarted(400, "wrong") == 2
    assert restarted(400, "wrong again") == 3  # what was stored meanwhile says nothing of the clock
    assert restarted(0.5, "right") == 4
    assert restarted(31, "a month later") == 5
    kept = float((shop.path / clock.FILE).read_text())
    assert 0 <= right() + 43_200 - kept < 300  # the last that was believed


def test_a_clock_is_believed_again_after_a_day(tmp_path, monkeypatch):
    wall, ticks = [1_000_000.0], [50.0]
    monkeypatch.setattr(clock.time, "time", lambda: wall[0])
    monkeypatch.setattr(clock.time, "monotonic", lambda: ticks[0])

    def passes(seconds, jump=0.0):
        wall[0] += seconds + jump
        ticks[0] += seconds

    one = Clock(tmp_path)
    passes(10_000, 3_000)
    assert one.steady()  # a correction
    passes(60, 1_000)
    assert not one.steady()  # an hour and more, together
    passes(86_000)
    assert not one.steady()
    passes(500)
    assert one.steady()
    passes(90_000)
    late = Clock(tmp_path)
    assert not late.steady()
    passes(86_500)
    assert late.steady()


SLOW = 10_000


def open_slowly(port, most):
    """Connections with half a request each, as many as the limit on files lets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = []
    for _ in range(min(most, hard - 500)):
        one = socket.create_connection(("127.0.0.1", port), timeout=30)
        one.sendall(b"GET /v1/recommendations?user_id=u HTTP/1.1\r\nHost: a\r\n")
        found.append(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return found


@pytest.mark.parametrize("many", [500, pytest.param(SLOW, marks=pytest.mark.nightly)])
def test_slow_connections_hold_nobody_up(shop, many):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    raised = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # noqa: E731
    process = Process(shop, "--quiet", limit=raised)
    server = psutil.Process(process.popen.pid)
    assert process.send("GET", LIST)[0] == 200
    before, started = server.memory_info().rss, time.monotonic()
    slow = open_slowly(process.port, many)
    while time.monotonic() - started < connections.HEAD_S / 2:
        status, _ = process.send("GET", LIST)
        assert status == 200
    assert server.memory_info().rss - before < 60 * MEGABYTE + many * 30_000
    until(lambda: len(server.net_connections("tcp")) < 20, connections.HEAD_S + 60)  # all were let go
    assert process.send("GET", LIST)[0] == 200
    for one in slow:
        one.close()
    assert process.stop() == 0


def test_who_never_reads_is_let_go(shop, monkeypatch):
    monkeypatch.setattr(connections, "READ_S", 2.0)
    listening = Listening(shop, authentication="off on loopback")
    own = psutil.Process()
    before = own.memory_info().rss
    deaf = []
    for _ in range(20):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", listening.port))
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.send(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 2_000)
        deaf.append(one)

    def theirs():
        return [one for one in own.net_connections("tcp") if one.laddr.port == listening.port and one.raddr]

    until(lambda: len(theirs()) == 20)
    assert served.ask(listening.url + LIST) == 200
    until(lambda: len(theirs()) == 0, 60)
    assert own.memory_info().rss - before < 150 * MEGABYTE
    assert served.ask(listening.url + LIST) == 200
    for one in deaf:
        one.close()
    listening.stop()


@pytest.mark.parametrize("bytes_", [b"\r\n", b"GET"])
def test_a_few_bytes_after_an_answer_keep_no_connection(shop, monkeypatch, bytes_):
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    listening = Listening(shop, authentication="off on loopback")
    with socket.create_connection(("127.0.0.1", listening.port), timeout=30) as one:
        for _ in range(2):  # what follows in time is answered
            one.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while b"}" not in answer:
                answer += one.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")
            one.sendall(b"\r\n")
        started = time.monotonic()
        one.sendall(bytes_)
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(100) == b""
        assert time.monotonic() - started < 10
    listening.stop()


def test_a_body_that_is_refused_may_be_sent_whole_and_has_one_answer(shop, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    listening = Listening(shop, authentication="off on loopback")
    size, head = 3_000_000, b"POST /v1/interactions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", listening.port), timeout=30) as one:
        for asked, status in ((head % size, b"413"), (b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n", b"200")):
            one.sendall(asked + b"x" * (size if status == b"413" else 0))
            answer = b""
            while b"}" not in answer:
                answer += one.recv(4096)
            assert answer.count(b"HTTP/1.1") == 1
            assert answer.startswith(b"HTTP/1.1 " + status)
    with socket.create_connection(("127.0.0.1", listening.port), timeout=30) as one:
        one.sendall(head % size + b"x" * 1_000_000)  # and no more
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while more := one.recv(4096):
                answer += more
        assert answer.startswith(b"HTTP/1.1 413")
        assert answer.count(b"HTTP/1.1") == 1
    listening.stop()


def test_a_head_without_end_is_refused(shop):
    listening = Listening(shop, authentication="off on loopback")
    with socket.create_connection(("127.0.0.1", listening.port), timeout=30) as endless:
        endless.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            for _ in range(200):
                endless.sendall(b"X-More: " + b"y" * 1_000 + b"\r\n")
        assert endless.recv(100).startswith(b"HTTP/1.1 400")
    listening.stop()


def test_more_requests_than_can_be_in_work_are_refused(shop, monkeypatch):
    from kuapin.serving import envelope

    monkeypatch.setattr(envelope, "MOST", 0)
    with served.client(shop) as client:
        answer = client.get(LIST)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        monkeypatch.setattr(envelope, "MOST", 1)
        assert client.get(LIST).status_code == 200
