"""The parts of a release on the disk: a catalogue and a recommender each, and the items that came after its training.

The default part is the release's own folder, others lie in ``parts/``; ``routing.json`` says which serves what.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin.arrays import load_arrays, save_arrays
from kuapin.data.dataset import Catalogue, build_catalogue
from kuapin.errors import ModelFolderError
from kuapin.manifest import Routing, part_of
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.routed import Routed, Served

PARTS = "parts"
CATALOGUE = "catalogue.parquet"
"""In a part: what was known of its items, in row order."""
LATER = "later.parquet"
"""In a part: the same of items that came after its training, behind the others."""
LATER_VECTORS = "later.safetensors"
"""Their text vectors, ``white`` float32 (k, d), whitened as the part's own are; absent where it reads no texts."""


def open_release(folder: Path, routing: Routing) -> tuple[Recommender, Catalogue]:
    """The recommender of a release, of all its parts, and the catalogue of the default one.

    Raises:
        ModelFolderError: a part is damaged, or the parts do not know the same items.
    """
    own = part_of(routing.default)
    default, catalogue = open_part(folder / own)
    categories: dict[str, set[str]] = {}
    for name in routing.categories:
        categories.setdefault(part_of(routing.of(name)), set()).add(name)
    others = []
    for place, names in categories.items():
        if place != own:
            recommender, items = open_part(folder / place)
            if not items.items.ids.equals(catalogue.items.ids):
                raise ModelFolderError(f"Model folder {folder / place}: it knows other items. Train again.")
            others.append(Served.of(recommender, items, names, place, catalogue))
    return (Routed.of(default, others) if others else default), catalogue


def open_part(folder: Path) -> tuple[Recommender, Catalogue]:
    """One part, the items that came later behind its own."""
    catalogue = build_catalogue(_frame(folder, CATALOGUE))
    recommender = Recommender.load(folder, catalogue)
    if not (folder / LATER).exists():
        return recommender, catalogue
    white = None
    if (folder / LATER_VECTORS).exists():
        white = np.asarray(load_arrays(folder / LATER_VECTORS)["white"], np.float32)
    grown = recommender.with_items(_frame(folder, LATER), catalogue, white)
    return grown.recommender, grown.catalogue


def write_later(folder: Path, items: pl.DataFrame, white: NDArray[np.float32] | None) -> None:
    """Let a part know items that came after its training.

    Args:
        folder: of the part, in a draft.
        items: with the columns of its catalogue, as far as they have them; none is in the catalogue yet.
        white: float32 (k, d), their text vectors, whitened by the part's whitening; ``None``: it reads no texts.
    """
    items.write_parquet(folder / LATER)
    if white is not None:
        save_arrays(folder / LATER_VECTORS, {"white": white})


def _frame(folder: Path, name: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(folder / name)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ModelFolderError(f"Model folder {folder}: {name} cannot be read. Train again.") from error
