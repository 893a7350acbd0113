"""Our own layout: one file per table, with the columns of ``data.schema``."""

from pathlib import Path

from kuapin.data.importers.format import Imported, Sources
from kuapin.data.readers import read_table

NAME = "plain"


def detect(sources: Sources) -> bool:
    """Anything that no other format claims."""
    return bool(sources)


def files(sources: Sources) -> dict[str, tuple[Path, ...]]:
    """One file per table."""
    return {table: (path,) for table, path in sources.items()}


def read(sources: Sources) -> Imported:
    """Every file as it is."""
    return Imported({table: read_table(path) for table, path in sources.items()})
