"""Whether a release is what its manifest says, byte for byte."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from kuapin.manifest import MANIFEST, FileEntry, Manifest, read_manifest, read_routing, refuse

_PLAIN_PATH = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_IGNORED = frozenset({".DS_Store"})  # macOS puts it into every folder that someone looks at


def verify(folder: Path, key: bytes | None) -> Manifest:
    """Check one release: every byte of every file, nothing missing, nothing foreign.

    Args:
        folder: the release.
        key: the signing key; ``None`` where none is configured, so that only damage is detected.

    Raises:
        ModelFolderError: naming the folder and the first fault found.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise refuse(folder, "it is not a folder")
    manifest = read_manifest(folder)
    manifest.check_seal(folder, key)
    if manifest.version != folder.name:
        raise refuse(folder, f"it is release {manifest.version} under another name")
    found = set(files_of(folder)) - {MANIFEST}
    for path, entry in manifest.files.items():
        if path not in found:
            raise refuse(folder, f"{path} is missing")
        size = (folder / path).stat().st_size
        if size != entry.bytes:
            raise refuse(folder, f"{path} has {size} bytes instead of {entry.bytes}")
        if entry_of(folder / path) != entry:
            raise refuse(folder, f"{path} was altered: its sha256 does not fit")
    foreign = sorted(found - set(manifest.files))
    if foreign:
        raise refuse(folder, f"{foreign[0]} does not belong to it")
    read_routing(folder)
    return manifest


def files_of(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder, with ``/``, sorted.

    Raises:
        ModelFolderError: there is a link, a device or a name that some file system would change.
    """
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if path.name in _IGNORED:
            continue
        if path.is_symlink():
            raise refuse(folder, f"{inside} is a symbolic link, which could lead outside")
        if path.is_dir():
            continue
        if not path.is_file():
            raise refuse(folder, f"{inside} is neither a file nor a folder")
        if not _PLAIN_PATH.fullmatch(inside):
            raise refuse(folder, f"{inside!r} is not a plain name (letters, digits, _ . -)")
        yield inside


def entry_of(path: Path) -> FileEntry:
    """Size and hash of one file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(sha256=digest, bytes=path.stat().st_size)
