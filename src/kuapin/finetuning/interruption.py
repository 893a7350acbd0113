"""Ctrl-C while training: the step at hand is finished and a checkpoint written; a second one leaves at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """A ``with`` block in which the first Ctrl-C is remembered and the second one interrupts.

    Attributes:
        asked: whether Ctrl-C came.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None
        self._catches = False

    def __enter__(self) -> Self:
        """Take over from Python's own handler, where it is in charge."""
        in_main = threading.current_thread() is threading.main_thread()
        self._catches = in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._catches:
            self._before = signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the handler back."""
        if self._catches:
            signal.signal(signal.SIGINT, self._before)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
