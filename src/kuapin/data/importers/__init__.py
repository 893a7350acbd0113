"""One file per format: how the files of others become our tables."""

from kuapin.data.importers.format import Imported, Importer, Sources
from kuapin.data.importers.registry import FORMATS, choose

__all__ = ["FORMATS", "Imported", "Importer", "Sources", "choose"]
