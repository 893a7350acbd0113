"""How long work tells what it is doing; the command line draws it, a library call is silent."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """One running step."""

    def advance(self, count: int = 1) -> None:
        """``count`` more units are done."""

    def note(self, text: str) -> None:
        """Say in a few words where the step stands, such as its loss; the last one counts."""


class Progress(Protocol):
    """Receives the steps of a job."""

    def step(self, title: str, total: int | None = None, unit: str = "") -> AbstractContextManager[Step]:
        """Open a step of ``total`` units (``None``: unknown), closed by the ``with`` statement."""


class _SilentStep:
    def advance(self, count: int = 1) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Nothing to show."""


class Silent:
    """Shows nothing."""

    @contextmanager
    def step(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Step]:
        """A step that nobody sees."""
        yield _SilentStep()


SILENT: Progress = Silent()
