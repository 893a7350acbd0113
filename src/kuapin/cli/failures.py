"""Every way a command can end: one line on standard error, and the exit code that says which way it was."""

import errno
import os
import re
import sys
import traceback
import warnings
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from kuapin.cli.entry import INTERRUPTED, INTERRUPTED_LINE
from kuapin.cli.output import one_line
from kuapin.errors import KuapinError

FAILED = 1
WRONG_USAGE = 2

_DISK = {
    errno.ENOSPC: "the disk is full. Free some space, then run the same command again",
    errno.EDQUOT: "the disk quota is used up. Free some space, then run the same command again",
    errno.EROFS: "the disk is read-only. Choose a folder that can be written to",
    errno.EACCES: "no permission. Choose another folder, or give this user access to it",
    errno.EPERM: "no permission. Choose another folder, or give this user access to it",
}


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; nothing but ``SystemExit`` leaves this function."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn  # one line, without the place in our source
            return _code(typer.main.get_command(app).main(list(arguments), prog_name="kuapin", standalone_mode=False))
    except TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        return _say(INTERRUPTED_LINE, INTERRUPTED)
    except KuapinError as error:
        return _say(str(error), error.exit_code)
    except BrokenPipeError:
        # whoever read our output has left; keep the interpreter from complaining when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except MemoryError:
        return _say("Out of memory. Close other programs, or use a machine with more memory.", FAILED)
    except Exception as error:
        if os.environ.get("KUAPIN_DEBUG"):
            traceback.print_exc()
        return _say(_unexpected(error), FAILED)


def _code(returned: object) -> int:
    """Typer returns the code of ``typer.Exit``, else what the verb returned, which is ``None``."""
    if returned == INTERRUPTED:
        return _say(INTERRUPTED_LINE, INTERRUPTED)
    return returned if isinstance(returned, int) else 0


def _usage(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "kuapin"
    message = error.format_message().rstrip(".?")
    question = "?" if error.format_message().endswith("?") else "."
    return _say(f"{command}: {message}{question} See: {command} --help", WRONG_USAGE)


def _unexpected(error: Exception) -> str:
    number = _disk_error(error)
    if number in _DISK:
        place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        return f"{place}{_DISK[number]}. What was there before is unchanged."
    hint = "" if os.environ.get("KUAPIN_DEBUG") else " Run with KUAPIN_DEBUG=1 for the traceback."
    return f"Unexpected {type(error).__name__}: {error or 'no message'}.{hint}"


def _disk_error(error: Exception) -> int | None:
    """The operating system's number of an error; libraries that write files tell it in their message alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    said = re.search(r"\[Errno (\d+)\]|\(os error (\d+)\)", str(error))
    return int(said[1] or said[2]) if said else None


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    typer.echo(one_line(str(message)), err=True)


def _say(message: str, code: int) -> int:
    typer.echo(one_line(message), err=True)
    return code
