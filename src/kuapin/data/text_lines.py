"""Bytes to lines of text: a byte that is not UTF-8 is known by its line."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from kuapin.errors import InputError

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def decoded(path: Path, lines: Iterable[bytes]) -> Iterator[str]:
    """The lines of a UTF-8 file, line ends kept, a byte-order mark left out.

    Raises:
        InputError: the file is in another encoding; the message names line and byte.
    """
    for number, line in enumerate(lines, 1):
        if number == 1:
            if line.startswith(_UTF16_MARKS):
                raise InputError(f"{path.name} is encoded in UTF-16; texts must be UTF-8. Save it again as UTF-8.")
            line = line.removeprefix(_UTF8_MARK)
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path.name} line {number}: byte 0x{line[error.start]:02x} at place {error.start + 1} has another "
                "encoding than UTF-8. Save the file again as UTF-8."
            ) from error
