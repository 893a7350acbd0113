"""The formats by name, and which of them some files are."""

from typing import cast

from kuapin.data.importers import amazon, complete_journey, gorse, personalize, plain, recbole
from kuapin.data.importers.format import Importer, Sources
from kuapin.errors import InputError

# In the order in which ``auto`` asks them; plain takes what no other claims.
_IMPORTERS: dict[str, Importer] = {
    module.NAME: cast(Importer, module) for module in (complete_journey, recbole, gorse, amazon, personalize, plain)
}

FORMATS = ("auto", *_IMPORTERS)


def choose(name: str, sources: Sources) -> Importer:
    """The importer of a format; ``auto`` goes by the names and headers of the files.

    Raises:
        InputError: there is no such format, or no file was given to one that needs files.
    """
    if name != "auto" and name not in _IMPORTERS:
        raise InputError(f"{name!r} is an unknown format. Formats are {', '.join(FORMATS)}.")
    if name != "auto":
        return _IMPORTERS[name]
    if not sources:  # only a format asked for by name can do without files
        raise InputError("No file was given. Name at least one: --items FILE, --interactions FILE, …")
    return next(importer for importer in _IMPORTERS.values() if importer.detect(sources))
