"""Killed at any moment: what was acknowledged is there, and no torn release is served."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from benchmarks import crash
from kuapin.data.sql.database import open_database
from kuapin.model_folder import Releases
from tests import served
from tests.listening import Process


@pytest.mark.parametrize(("kind", "cycles"), [("sqlite", 14), ("postgres", 6)])
def test_what_was_acknowledged_outlives_kill_9(tmp_path, kind, cycles):
    """``python -m benchmarks.crash`` does it hundreds of times."""
    seen = crash.survive(kind, cycles, tmp_path)
    assert seen.lost == []
    counts = seen.counts
    assert counts["cycles"] == cycles
    assert counts["events"] > 3 * cycles
    assert counts["items"] > 0
    assert counts["switches"] > 0 or kind == "postgres"  # two workers load what is made live: few switches end in time
    assert counts["refreshes"] > 0


def test_what_is_lost_is_seen(tmp_path):
    """The harness finds what it looks for."""
    shop = served.shop(tmp_path)
    served.publish(shop, candidates=21, activate=False)
    seen = crash.Seen(events={"never written"}, items={"G-rose-pot-small": False}, live="another")
    process = Process(shop)
    try:
        crash.check(process, shop, seen)
        assert seen.lost == ["event never written", "item G-rose-pot-small", "switch to another"]
        live = Releases(shop.models).live()
        (shop.models / live / "recommender.json").write_text("{")
        torn = crash.Seen()
        crash.check(process, shop, torn)
        assert len(torn.lost) == 1
        assert torn.lost[0].startswith(f"release {live}")
    finally:
        process.kill()


TRACED = """
import os, sys
from benchmarks import crash
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
