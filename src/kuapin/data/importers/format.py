"""What an importer is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

Sources = Mapping[str, Path]
"""Table name → the file that fills it."""


@dataclass(frozen=True)
class Imported:
    """The tables of some files, not yet validated.

    Attributes:
        tables: table name → cells under our column names; row ``n`` is row ``n`` of the table's file wherever the
            format allows it, so that messages name the right row.
        names: table name → (our column name → the file's), for messages.
        first_counts: tables whose source is known to repeat ids: the first row is kept, the others are left out.
    """

    tables: dict[str, pl.DataFrame]
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    first_counts: frozenset[str] = frozenset()


class Importer(Protocol):
    """One format; importers are modules with these members."""

    NAME: str

    def detect(self, sources: Sources) -> bool:
        """Whether the files look like this format, judged by names and headers."""

    def files(self, sources: Sources) -> dict[str, tuple[Path, ...]]:
        """All files that fill each table, those found beside the named ones included."""

    def read(self, sources: Sources) -> Imported:
        """Read the files.

        Raises:
            InputError: a file cannot be read or does not fit the format.
        """


def renamed(frame: pl.DataFrame, names: Mapping[str, str]) -> tuple[pl.DataFrame, dict[str, str]]:
    """Rename the columns that exist (the file's name → ours) and tell it the other way round."""
    present = {theirs: ours for theirs, ours in names.items() if theirs in frame.columns}
    return frame.rename(present), {ours: theirs for theirs, ours in present.items()}


def one_each(sources: Sources) -> dict[str, tuple[Path, ...]]:
    """``Importer.files`` of a format with one file per table."""
    return {table: (path,) for table, path in sources.items()}
