"""One at a time, also where the folder of the lock is deleted by who held it."""

import os
import subprocess
import sys

import pytest

from kuapin.data.locking import cleared, locked
from kuapin.errors import BusyError, StoreError

WORKER = """
import os, sys, time
from pathlib import Path
from kuapin.data.locking import cleared, locked
from kuapin.errors import BusyError
folder, done, until = Path(sys.argv[1]), 0, time.monotonic() + 1.5
while time.monotonic() < until:
    try:
        with locked(folder / ".lock", "the folder", make_folder=True):
            mark = os.open(folder / "inside", os.O_CREAT | os.O_EXCL)  # fails where somebody else is inside
            os.close(mark)
            cleared(folder, ".lock")
            done += 1
    except BusyError:
        pass
print(done)
"""


def test_whoever_comes_second_is_told_who_is_first(tmp_path):
    with (
        locked(tmp_path / "run" / ".lock", "the run", make_folder=True),
        pytest.raises(BusyError, match=rf"pid {os.getpid()}\) is working on the run"),
        locked(tmp_path / "run" / ".lock", "the run", make_folder=True),
    ):
        pass
    with locked(tmp_path / "run" / ".lock", "the run", make_folder=True):
        cleared(tmp_path / "run", ".lock")
    assert list(tmp_path.iterdir()) == []


def test_nobody_is_inside_with_another_and_nobody_fails_while_the_folder_comes_and_goes(tmp_path):
    command = [sys.executable, "-c", WORKER, str(tmp_path / "run")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    told = [worker.communicate(timeout=60) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], told
    assert sum(int(out) for out, _ in told) > 10


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match="cannot be written"),
        locked(tmp_path / "file" / "x" / ".lock", "it", make_folder=True),
    ):
        pass


def test_a_folder_that_is_gone_does_not_come_back_unasked(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"), locked(tmp_path / "gone" / ".lock", "it"):
        pass
    assert list(tmp_path.iterdir()) == []
