"""A command beside the service, now and then."""

import logging
import sys
import time

from kuapin.serving.schedule import Schedule


def write(path, code, name="run"):
    """A command that notes its arguments and priority, and ends with a code."""
    program = (
        "import os, sys, time; time.sleep(0.2); open(sys.argv[1], 'a').write(f'{os.nice(0)} {sys.argv[2:]}\\n'); "
        f"print('said this'); time.sleep({0 if name == 'run' else 60}); sys.exit({code})"
    )
    return (sys.executable, "-c", program, str(path))


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_it_runs_again_and_again_at_a_low_priority_whatever_it_ends_with(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    schedule = Schedule(tmp_path / "shop", 0.05, write(tmp_path / "noted", 1))
    until(lambda: len(lines(tmp_path / "noted")) >= 2)
    schedule.stop()
    nice, arguments = lines(tmp_path / "noted")[0].split(" ", 1)
    assert int(nice) >= 10
    assert arguments == str([str(tmp_path / "shop"), "--quiet"])
    assert "Refresh ended with 1: said this" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_that_the_gate_kept_the_old_release_is_no_warning(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    schedule = Schedule(tmp_path / "shop", 0.01, write(tmp_path / "noted", 3))
    until(lambda: "ended with 3" in caplog.text)
    schedule.stop()
    assert caplog.records[0].levelno == logging.INFO


def test_stopping_ends_the_command(tmp_path):
    schedule = Schedule(tmp_path / "shop", 0.01, write(tmp_path / "noted", 0, "sleep"))
    until(lambda: lines(tmp_path / "noted"))
    started = time.monotonic()
    schedule.stop()
    assert time.monotonic() - started < 20
