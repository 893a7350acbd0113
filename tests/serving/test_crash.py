"""Killed at any moment: what was acknowledged is there, and no torn release is served."""

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from kuapin.data.sql.database import open_database
from kuapin.data.sql.events import EventStore
from kuapin.data.sql.items import ItemStore
from kuapin.model_folder import Releases
from kuapin.workspace import Shop
from tests import served

PROGRAM = "from kuapin.cli.entry import main; main()"


class Process:
    """``kuapin serve`` as a process of its own."""

    def __init__(self, shop):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = (shop.path.parent / "log").open("ab")
        arguments = ["serve", str(shop.path), "--port", str(self.port), "--without-keys"]
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], stdout=self.log, stderr=self.log, start_new_session=True
        )
        deadline = time.monotonic() + 120
        while self.ask("GET", "/health/ready") is None:
            assert self.popen.poll() is None, (shop.path.parent / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def ask(self, method, path, body=None):
        """The answer's JSON; ``None`` where there was none or another status than 200."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def kill(self):
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()
        self.log.close()


def one_cycle(shop, releases, rng, cycle, acknowledged, gone):
    process = Process(shop)
    answer = process.ask("GET", "/v1/recommendations?user_id=u&n=90")
    assert answer["release"] in releases
    assert not gone & {row["target_id"] for row in answer["recommendations"]}
    stop = threading.Event()

    def write(name):
        for number in range(100_000):
            if stop.is_set():
                return
            batch = [{"event_id": f"{cycle}-{name}-{number}-{k}", "user_id": f"u{k}", "item_id": "i"} for k in range(3)]
            told = process.ask("POST", "/v1/interactions", {"interactions": batch})
            if told is not None:
                assert told == {"added": 3, "known": 0}
                acknowledged.update(row["event_id"] for row in batch)

    def change():
        for number in range(100_000):
            if stop.is_set():
                return
            process.ask("POST", f"/v1/models/{releases[number % 2]}/activate")
            item = f"G-{('rose', 'oak', 'sea', 'mint', 'snow', 'sun')[cycle % 6]}-{('pot', 'hose')[number % 2]}-small"
            if process.ask("DELETE", f"/v1/items/{item}") is not None:
                gone.add(item)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"] + [threading.Thread(target=change)]
    before, deadline = len(acknowledged), time.monotonic() + 30
    for thread in threads:
        thread.start()
    while len(acknowledged) == before and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(rng.uniform(0.05, 0.6))
    process.kill()
    stop.set()
    for thread in threads:
        thread.join()


def survive(shop, cycles):
    releases = [Releases(shop.models).live(), served.publish(shop, candidates=21, activate=False)]
    acknowledged, gone = set(), set()
    rng = random.Random(7)
    for cycle in range(cycles):
        one_cycle(shop, releases, rng, cycle, acknowledged, gone)
        database = open_database(shop.service_database())
        kept = EventStore(database).table(["event_id"])["event_id"]
        assert acknowledged <= set(kept)
        assert kept.n_unique() == kept.len()
        assert gone <= {one.item_id for one in ItemStore(database).since(0) if one.deleted}
        database.close()
        Releases(shop.models).verify(Releases(shop.models).open_live())
    assert len(acknowledged) > 3 * cycles
    assert gone
    assert Shop.open(shop.path).dataset().histories.lengths.sum() > 0


def test_what_was_acknowledged_outlives_kill_9(shop):
    survive(shop, 3)


@pytest.mark.nightly
def test_what_was_acknowledged_outlives_kill_9_twenty_times(shop):
    survive(shop, 20)


TRACED = """
import os, sys
from kuapin.data.sql.database import open_database
from kuapin.data.sql.events import EventStore, GroupCommit
writer = GroupCommit(EventStore(open_database(sys.argv[1])))
for number in range(5):
    row = {"event_id": str(number), "user_id": "u", "item_id": "i", "timestamp": 1, "event": "view"}
    writer.put([row]).result(20)
    os.write(1, b"acknowledged\\n")
os._exit(0)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here: apt-get install strace")
def test_a_commit_is_synced_before_it_is_acknowledged(tmp_path):
    """The system calls: between an event's write to the log and its acknowledgement lies a sync of that very file."""
    open_database(f"sqlite:///{tmp_path}/service.sqlite").close()
    command = ["strace", "-f", "-y", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", str(tmp_path / "trace")]
    program = [sys.executable, "-c", TRACED, f"sqlite:///{tmp_path}/service.sqlite"]
    done = subprocess.run([*command, *program], capture_output=True, text=True, check=False, env=os.environ)
    if "ptrace" in done.stderr.lower() and done.returncode:
        pytest.skip("tracing is forbidden here")
    assert done.stdout.count("acknowledged") == 5, done.stderr
    unsynced, wrote, told = False, 0, 0
    for line in (tmp_path / "trace").read_text(errors="replace").splitlines():
        if "service.sqlite-wal>" in line and re.search(r"\bp?write(64)?\(", line):
            unsynced, wrote = True, wrote + 1
        elif "service.sqlite-wal>" in line and re.search(r"\bf(data)?sync\(", line):
            unsynced = False
        elif 'acknowledged\\n"' in line:
            told += 1
            assert not unsynced, f"acknowledgement {told} came before its sync"
            assert wrote, f"acknowledgement {told} came without a write"
            wrote = 0
    assert told == 5
