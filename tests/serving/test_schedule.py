"""A command beside the service, now and then."""

import logging
import sys
import time

import pytest

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.serving.monitoring import Monitor
from kuapin.serving.schedule import Schedule
from tests import served


def write(path, code, name="run"):
    """A command that notes its arguments and priority, and ends with a code."""
    program = (
        "import os, sys, time; time.sleep(0.2); open(sys.argv[1], 'a').write(f'{os.nice(0)} {sys.argv[2:]}\\n'); "
        f"print('said this'); time.sleep({0 if name == 'run' else 60}); sys.exit({code})"
    )
    return (sys.executable, "-c", program, str(path))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_it_runs_again_and_again_at_a_low_priority_whatever_it_ends_with(folder, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    schedule = Schedule(folder, 0.05, write(tmp_path / "noted", 1))
    until(lambda: len(lines(tmp_path / "noted")) >= 2)
    schedule.stop()
    nice, arguments = lines(tmp_path / "noted")[0].split(" ", 1)
    assert int(nice) >= 10
    assert arguments == str([str(folder), "--quiet"])
    assert "Refresh ended with 1: said this" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("code", [3, 4])
def test_that_the_gate_kept_the_old_release_or_somebody_else_trains_is_no_warning(folder, tmp_path, caplog, code):
    caplog.set_level(logging.INFO)
    schedule = Schedule(folder, 0.01, write(tmp_path / "noted", code))
    until(lambda: f"ended with {code}" in caplog.text)
    schedule.stop()
    assert caplog.records[0].levelno == logging.INFO


def test_stopping_ends_the_command(folder, tmp_path):
    schedule = Schedule(folder, 0.01, write(tmp_path / "noted", 0, "sleep"))
    until(lambda: lines(tmp_path / "noted"))
    started = time.monotonic()
    schedule.stop()
    assert time.monotonic() - started < 20


def test_one_of_several_processes_keeps_it_until_it_ends(folder, tmp_path):
    first = Schedule(folder, 0.1, write(tmp_path / "a", 0))
    until(lambda: lines(tmp_path / "a"))
    second = Schedule(folder, 0.1, write(tmp_path / "b", 0))
    until(lambda: len(lines(tmp_path / "a")) >= 5)
    assert lines(tmp_path / "b") == []
    first.stop()
    until(lambda: lines(tmp_path / "b"))
    second.stop()


def test_a_refresh_beside_a_training_is_busy_and_no_failure(tmp_path, capfd):
    shop, monitor = served.shop(tmp_path), Monitor()
    with shop.run("train"):
        code = run(app, ["refresh", str(shop.path), "--quiet"])
    assert "Another process" in capfd.readouterr().err
    monitor.refresh_ended(code)
    results = [line for line in monitor.text().decode().splitlines() if line.startswith("kuapin_refreshes_total")]
    assert [line for line in results if not line.endswith(" 0.0")] == ['kuapin_refreshes_total{result="busy"} 1.0']
