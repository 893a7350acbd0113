"""Our own layout: one file per table, with the columns of ``data.schema``."""

from kuapin.data.importers.format import Imported, Sources, one_each
from kuapin.data.readers import read_table

NAME = "plain"

files = one_each


def detect(sources: Sources) -> bool:
    """Anything that no other format claims."""
    return bool(sources)


def read(sources: Sources) -> Imported:
    """Every file as it is."""
    return Imported({table: read_table(path) for table, path in sources.items()})
