"""Where the ``kuapin`` command starts: it can be interrupted from here on, though everything is yet to be imported."""

import os
import signal

INTERRUPTED = 130
INTERRUPTED_LINE = "Interrupted. What was there before is unchanged; run the same command again."


def main() -> None:
    """The entry point of the ``kuapin`` command."""
    # Not as an exception: an import that it hits in a callback would swallow it. There is nothing to tidy up yet.
    catching = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else ignored, as by a background job
    if catching:
        signal.signal(signal.SIGINT, _leave)
    from kuapin.cli.app import main as run

    if catching:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(_number: int, _frame: object) -> None:
    os.write(2, f"{INTERRUPTED_LINE}\n".encode())
    os._exit(INTERRUPTED)
