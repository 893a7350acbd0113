"""One writer at a time: a lock that the operating system drops when its holder dies."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kuapin.errors import BusyError, StoreError


@contextmanager
def locked(path: Path, what: str, *, make_folder: bool = False) -> Iterator[None]:
    """Hold the lock file ``path`` while the ``with`` block runs.

    Args:
        path: the lock file; it is created, and stays unless :func:`cleared` takes it away.
        what: what is locked, for the message (``"the tables of shop"``).
        make_folder: make its folder where there is none, as often as others clear it away meanwhile.

    Raises:
        BusyError: another process, or another part of this one, holds it.
        StoreError: the file cannot be written.
    """
    handle = _held(path, what, make_folder=make_folder)
    while not _names(path, handle):  # it was cleared away between opening and locking: nobody would meet us there
        os.close(handle)
        handle = _held(path, what, make_folder=make_folder)
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def cleared(folder: Path, lock: str) -> None:
    """Delete a folder whose lock file is held: its content, then the lock, then the folder if nobody has come since."""
    for path in folder.iterdir():
        if path.name != lock:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (folder / lock).unlink()
    with suppress(OSError):
        folder.rmdir()


def _held(path: Path, what: str, *, make_folder: bool) -> int:
    handle = _opened(path, tries=99 if make_folder else 0)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise BusyError(
            f"Another process (pid {holder}) is working on {what}. Wait until it has ended, then try again."
        ) from error
    return handle


def _opened(path: Path, tries: int) -> int:
    try:
        for _ in range(tries):
            with suppress(FileNotFoundError):  # the folder may be cleared away at any time
                return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            with suppress(FileExistsError):
                path.parent.mkdir(exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}). Check the folder's permissions.") from error


def _names(path: Path, handle: int) -> bool:
    """Whether the path still leads to the file that was opened."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
