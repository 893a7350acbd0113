"""Whether the clock of the machine can be believed: what is deleted by age is deleted by it."""

import logging
import time

log = logging.getLogger("kuapin.serving")
JUMP_S = 3_600.0
TRUSTED_S = 86_400.0


class Clock:
    """Compares the clock with the one that only counts up.

    A clock that is put forward by years would make every event old; one that has moved by more than an hour is not
    believed until it has kept pace for a day, or the service is started again.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._since: float | None = None

    def steady(self) -> bool:
        """Whether it has kept pace."""
        now = time.monotonic()
        offset = time.time() - now
        if abs(offset - self._offset) > JUMP_S:
            log.warning("The clock moved by %.0f s; nothing is deleted by age for a day", offset - self._offset)
            self._offset, self._since = offset, now
        if self._since is not None and now - self._since >= TRUSTED_S:
            self._since = None
        return self._since is None
