import io
import re

import pytest
from rich.console import Console

from kuapin.cli.bars import Bars


def bars(*, terminal: bool) -> tuple[Bars, io.StringIO]:
    out = io.StringIO()
    return Bars(Console(file=out, force_terminal=terminal, width=120, highlight=False)), out


def test_off_a_terminal_a_finished_step_is_one_line_with_amount_time_and_rate():
    progress, out = bars(terminal=False)
    with progress.step("Encoding [b]", total=3000, unit="texts") as step:
        step.advance(1000)
        step.advance(2000)
    with progress.step("Indexing"):
        pass
    with progress.step("Judging", unit="lists") as step:
        step.advance()
    encoding, indexing, judging = out.getvalue().splitlines()
    assert re.fullmatch(r"Encoding \[b\]: 3,000 texts in 0\.\d s \([\d,]+/s\)", encoding)
    assert re.fullmatch(r"Indexing in 0\.\d s", indexing)
    assert judging.startswith("Judging: 1 in ")


def test_a_step_that_fails_leaves_no_line():
    progress, out = bars(terminal=False)

    def failing():
        with progress.step("Training", total=2):
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        failing()
    assert out.getvalue() == ""


def test_on_a_terminal_amount_and_unit_are_drawn_and_steps_may_nest():
    progress, out = bars(terminal=True)
    with progress.step("Outer", total=2) as outer:
        with progress.step("Inner", total=1500, unit="texts") as inner:
            inner.advance(1500)
            progress._bars.refresh()
        outer.advance(2)
    drawn = out.getvalue()
    assert "1,500/1,500 texts" in drawn
    assert drawn.index("Inner: 1,500 texts in") < drawn.index("Outer: 2 in")
    assert progress._bars.finished
    assert not progress._bars.live.is_started
