"""Progress on standard error: a bar with rate and remaining time on a terminal, one line a step elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.progress import ProgressColumn as Column
from rich.text import Text

from kuapin.progress import Step


class _Amount(Column):
    """How much is done, and how fast: ``1,200/3,000 texts · 714/s``; behind it the step's note."""

    def render(self, task: Task) -> Text:
        total = f"/{task.total:,.0f}" if task.total is not None else ""
        rate = f" · {_rate(task.speed)}" if task.speed else ""
        unit = f" {task.fields['unit']}" if task.fields["unit"] else ""
        note = f" · {task.fields['note']}" if task.fields["note"] else ""
        return Text(f"{task.completed:,.0f}{total}{unit}{rate}{note}")


class Bars:
    """Draws the steps of a job; steps may lie within steps."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._bars = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            _Amount(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._open = 0

    @contextmanager
    def step(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Step]:
        """Show one step; a step that ends well leaves one line with its duration and rate."""
        task = self._bars.add_task(title, total=total, unit=unit, note="")
        started = time.perf_counter()
        step = _Step(self._bars, task)
        if self._open == 0:
            self._bars.start()
        self._open += 1
        try:
            yield step
            self._console.print(_summary(title, step, unit, time.perf_counter() - started), markup=False)
        finally:
            self._open -= 1
            self._bars.remove_task(task)
            if self._open == 0:
                self._bars.stop()


class _Step:
    def __init__(self, bars: RichProgress, task: TaskID) -> None:
        self._bars = bars
        self._task = task
        self.done = 0
        self.noted = ""

    def advance(self, count: int = 1) -> None:
        """``count`` more units are done."""
        self.done += count
        self._bars.advance(self._task, count)

    def note(self, text: str) -> None:
        """What stands behind the rate."""
        self.noted = text
        self._bars.update(self._task, note=text)


def _summary(title: str, step: _Step, unit: str, seconds: float) -> str:
    done = step.done
    amount = f": {done:,} {'' if done == 1 else unit}".rstrip() if done else ""  # the unit is a plural
    rate = f" ({_rate(done / seconds)})" if done and seconds > 0 else ""
    note = f", {step.noted}" if step.noted else ""
    return f"{title}{amount} in {seconds:.1f} s{rate}{note}"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.1f}/s"
