import errno
import os
import shutil
import warnings

import polars as pl
import pytest
import typer

from kuapin.cli.failures import run
from kuapin.errors import GateRefusedError, InputError, ModelFolderError

FULL = "the disk is full. Free some space, then run the same command again. What was there before is unchanged."


def fail(error: BaseException) -> int:
    app = typer.Typer()

    @app.callback()
    def root() -> None:
        pass

    @app.command()
    def verb() -> None:
        raise error

    return run(app, ["verb"])


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("items.csv row 3: no."), 2, "items.csv row 3: no."),
        (ModelFolderError("torn."), 1, "torn."),
        (GateRefusedError("worse."), 3, "worse."),
        (KeyboardInterrupt(), 130, "Interrupted. What was there before is unchanged; run the same command again."),
        (MemoryError(), 1, "Out of memory. Close other programs, or use a machine with more memory."),
        (
            OSError(errno.ENOSPC, "No space left on device", "shop/data"),
            1,
            "shop/data: the disk is full. Free some space, then run the same command again. "
            "What was there before is unchanged.",
        ),
        (shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]), 1, FULL),
        (pl.exceptions.ComputeError("parquet: IO error: No space left on device (os error 28)"), 1, FULL),
        (
            OSError(errno.EROFS, "Read-only file system"),
            1,
            "the disk is read-only. Choose a folder that can be written to. What was there before is unchanged.",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            1,
            "x: no permission. Choose another folder, or give this user access to it. "
            "What was there before is unchanged.",
        ),
        (
            ValueError("two\nlines"),
            1,
            "Unexpected ValueError: two lines. Run with KUAPIN_DEBUG=1 for the traceback.",
        ),
        (InputError("title is 'a\x1b[2Jb\u202ec'."), 2, r"title is 'a\x1b[2Jb\u202ec'."),
        (typer.Exit(2), 2, ""),
    ],
)
def test_every_failure_is_one_line_and_an_exit_code(capfd, monkeypatch, error, code, message):
    monkeypatch.delenv("KUAPIN_DEBUG", raising=False)
    assert fail(error) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err == (message + "\n" if message else "")


def test_a_warning_is_one_line_without_a_place_in_our_source(capfd):
    app = typer.Typer()
    app.command()(lambda: warnings.warn("2 items have\nno title.", stacklevel=1))
    assert run(app, []) == 0
    assert capfd.readouterr().err == "2 items have no title.\n"


def test_the_traceback_is_there_for_those_who_ask(capfd, monkeypatch):
    monkeypatch.setenv("KUAPIN_DEBUG", "1")
    assert fail(ZeroDivisionError("x")) == 1
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert err.endswith("Unexpected ZeroDivisionError: x.\n")


def test_a_reader_that_leaves_is_no_fault(capfd, monkeypatch):
    spare = os.dup(1)
    try:
        assert fail(BrokenPipeError()) == 1
    finally:
        os.dup2(spare, 1)
        os.close(spare)
    assert capfd.readouterr().err == ""
