"""One writer at a time: a lock that the operating system drops when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kuapin.errors import BusyError, StoreError


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file ``path`` while the ``with`` block runs.

    Args:
        path: the lock file; it is created and stays.
        what: what is locked, for the message (``"the tables of shop"``).

    Raises:
        BusyError: another process, or another part of this one, holds it.
        StoreError: the file cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}). Check the folder's permissions.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
            raise BusyError(
                f"Another process (pid {holder}) is working on {what}. Wait until it has ended, then try again."
            ) from error
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
