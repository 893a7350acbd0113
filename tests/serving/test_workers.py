"""Several processes on one PostgreSQL: what comes through one holds in all of them within ``watch_seconds``."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import psutil
import pytest

from kuapin.model_folder import Releases
from tests import served
from tests.databases import postgres

PROGRAM = "from kuapin.cli.entry import main; main()"
WORKERS = 3
ASKED = 40
"""So many new connections reach every worker: the kernel hands them out, and one misses them all once in 10⁶ times."""
WATCH_S, SLACK_S = 0.5, 6.0
"""What the service is told, and what a machine at work with other things may take for the rest."""
USER = "user 003"


def ask(port, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Connection": "close"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def told_by_all(port, path, read):
    """What the answers to many fresh connections say, each once."""
    return {read(ask(port, "GET", path)) for _ in range(ASKED)}


def until(what, wanted):
    """Wait for it within the time that was promised; what it was at last."""
    deadline = time.monotonic() + WATCH_S + SLACK_S
    while (found := what()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.fixture
def workers(tmp_path, monkeypatch):
    """The shop, its port and two releases, on several processes and one server."""
    shop = served.shop(tmp_path)
    path = shop.path / "kuapin.toml"
    path.write_text(path.read_text().replace("watch_seconds = 0.25", f"watch_seconds = {WATCH_S}"))
    other = served.publish(shop, candidates=40, activate=False)
    with socket.socket() as free, TemporaryDirectory(prefix="kuapin-pg-") as folder, postgres(Path(folder)) as url:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        monkeypatch.setenv("KUAPIN_DATABASE", url)
        arguments = ["serve", str(shop.path), "--port", str(port), "--without-keys", "--workers", str(WORKERS)]
        log = (tmp_path / "log").open("w+b")
        running = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 180
            while (tmp_path / "log").read_text().count("Application startup complete") < WORKERS:
                assert running.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield shop, port, other, psutil.Process(running.pid)
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)
            log.close()


def test_a_switch_an_item_an_event_and_an_erasure_reach_every_process(workers):
    shop, port, other, process = workers
    assert len([one for one in process.children() if len(one.threads()) > 3]) >= WORKERS
    first = Releases(shop.models).live()
    path = f"/v1/users/{quote(USER)}/recommendations?n=90"

    def release():
        return told_by_all(port, path, lambda answer: answer["release"])

    def basis(user=USER):
        return told_by_all(port, f"/v1/recommendations?user_id={quote(user)}", lambda answer: answer["basis"])

    assert release() == {first}
    assert ask(port, "POST", f"/v1/models/{other}/activate") == {"release": other}
    assert until(release, {other}) == {other}

    gone = ask(port, "GET", path)["recommendations"][0]["target_id"]
    ask(port, "DELETE", f"/v1/items/{gone}")

    def shown():
        return told_by_all(port, path, lambda answer: gone in [row["target_id"] for row in answer["recommendations"]])

    assert until(shown, {False}) == {False}

    event = {"user_id": "new", "item_id": "P-sea-bed-small", "event": "purchase"}
    assert basis("new") == {"shop_popular"}
    ask(port, "POST", "/v1/interactions", {"interactions": [event]})
    assert basis("new") == {"personal"}  # at once: it is looked up for every list

    one = ask(port, "POST", "/v1/experiments", {"challenger": first})
    users = [f"user {number:03d}" for number in range(8)]

    def versions():
        return [
            {ask(port, "GET", f"/v1/recommendations?user_id={quote(user)}")["release"] for _ in range(12)}
            for user in users
        ]

    found = until(lambda: [len(one) for one in versions()], [1] * len(users))
    assert found == [1] * len(users)
    assert {release for one in versions() for release in one} == {first, other}
    ask(port, "POST", f"/v1/experiments/{one['experiment_id']}/stop")
    assert until(release, {other}) == {other}

    assert basis() == {"personal"}
    ask(port, "DELETE", f"/v1/users/{quote(USER)}")
    assert until(basis, {"shop_popular"}) == {"shop_popular"}
