"""Whether the clock of the machine can be believed: what is deleted by age is deleted by it."""

import logging
import time
from contextlib import suppress
from pathlib import Path

from kuapin.durable import write_durably

log = logging.getLogger("kuapin.serving")
FILE = ".clock"
"""In the shop's folder: the time that was believed last, unix seconds."""
JUMP_S = 3_600.0
TRUSTED_S = 86_400.0


class Clock:
    """Compares the clock with the one that only counts up, and with what was believed before the process started.

    A clock that is put forward by years would make every event old; one that has moved by more than an hour, or is more
    than an hour behind or a day ahead of what was believed last, is not believed until it has kept pace for a day.

    Args:
        folder: the shop's.
    """

    def __init__(self, folder: Path) -> None:
        self._kept = folder / FILE
        now = time.monotonic()
        self._offset = time.time() - now
        self._since: float | None = None
        with suppress(OSError, ValueError):
            away = time.time() - float(self._kept.read_text(encoding="ascii"))
            if not -JUMP_S <= away <= TRUSTED_S:
                self._doubt(away, now)

    def steady(self) -> bool:
        """Whether it has kept pace."""
        now = time.monotonic()
        offset = time.time() - now
        if abs(offset - self._offset) > JUMP_S:
            self._doubt(offset - self._offset, now)
            self._offset = offset
        if self._since is not None and now - self._since >= TRUSTED_S:
            self._since = None
        if self._since is None:
            with suppress(OSError):  # a full disk
                write_durably(self._kept, str(int(time.time())).encode())
        return self._since is None

    def _doubt(self, seconds: float, now: float) -> None:
        log.warning("The clock moved by %.0f s since it was believed; nothing is deleted by age for a day", seconds)
        self._since = now
