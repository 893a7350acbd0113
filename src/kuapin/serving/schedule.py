"""``kuapin refresh`` now and then, as a process of its own, so that no request waits for a training."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from kuapin.data.locking import locked
from kuapin.errors import BusyError, GateRefusedError, StoreError

log = logging.getLogger("kuapin.serving")
LOCK = ".refresh.lock"
NICE = 10
NO_FAILURE = (0, GateRefusedError.exit_code, BusyError.exit_code)
"""Exit codes: it is done; the gate kept the old release; somebody else trains."""
REFRESH = (sys.executable, "-c", "from kuapin.cli.entry import main; main()", "refresh")


class Schedule:
    """Starts the same command again and again; the next time begins when the one before has ended.

    Of several processes with a schedule for one shop one keeps it, for as long as it runs; then another does. What the
    command makes live is taken over by the watch on releases, in every process.

    Args:
        shop: folder of the shop.
        seconds: between the end of one and the start of the next.
        command: what is run, the folder behind it.
        ended: told the exit code of every run.
    """

    def __init__(
        self,
        shop: Path,
        seconds: float,
        command: Sequence[str] = REFRESH,
        ended: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._shop, self._ended = shop, ended
        self._command = [*command, str(shop), "--quiet"]
        self._seconds = seconds
        self._stop = threading.Event()
        self._running: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, and the command, which leaves the shop as it was."""
        self._stop.set()
        if self._running is not None:
            self._running.terminate()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                with locked(self._shop / LOCK, "the schedule"):
                    self._once()
                    while not self._stop.wait(self._seconds):
                        self._once()
            except BusyError:
                continue
            except StoreError as error:
                self._ended(error.exit_code)
                log.warning("No refresh: %s", error)

    def _once(self) -> None:
        self._running = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        os.setpriority(os.PRIO_PROCESS, self._running.pid, NICE)
        said, _ = self._running.communicate()
        self._ended(self._running.returncode)
        lines = said.strip().splitlines()
        level = logging.INFO if self._running.returncode in NO_FAILURE else logging.WARNING
        log.log(level, "Refresh ended with %s: %s", self._running.returncode, lines[-1] if lines else "")
