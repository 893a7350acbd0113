"""Writing so that a crash, a full disk or Ctrl-C leaves the old content or the new one, never half of either."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file in one step: written beside it, flushed to the disk, renamed over it.

    Raises:
        OSError: as the system says; the old file is then untouched and nothing is left beside it.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A folder to write into; it takes its name when the block ends well, replacing an older one.

    Where the block does not end well nothing is left of it, and the older one stays.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        sync_tree(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    sync_folder(folder.parent)


def sync_file(path: Path) -> None:
    """Flush one file's content to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, so that a rename in it survives a power cut."""
    sync_file(folder)


def sync_tree(folder: Path) -> None:
    """Flush everything below a folder, and its names, to the disk."""
    for path in folder.rglob("*"):
        sync_file(path)
    sync_folder(folder)
