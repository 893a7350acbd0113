"""What the safety classifier of a release learnt, kept for items that come after its training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kuapin.arrays import load_arrays, save_arrays
from kuapin.durable import write_durably
from kuapin.errors import ModelFolderError
from kuapin.ranking.safety import Examples, learn, margin_of, shelves
from kuapin.retrieval.source import Scores

FILE, SHELVES = "safety.safetensors", "safety-shelves.json"


@dataclass(frozen=True)
class Judge:
    """Says how surely an item is harmful that the classifier has not seen.

    Attributes:
        centre: float64 (d,), mean of the catalogue's title vectors.
        fits: float64 (2, d + 1), weights and intercept of the two halves' regressions; an item gets their mean.
        shelves: path of a leaf category → what its items read like above the catalogue, where that is anything.
    """

    centre: NDArray[np.float64]
    fits: NDArray[np.float64]
    shelves: Mapping[str, float]

    @classmethod
    def fit(
        cls,
        titles: Scores,
        examples: Examples,
        labels: NDArray[np.int8],
        seed: int,
        leaf: NDArray[np.integer],
        leaves: Sequence[str],
    ) -> tuple[Self, NDArray[np.float64]]:
        """The judge, and the margins of the catalogue itself, each by the half that has not seen it.

        Args:
            titles: float32 (n, d), unit vectors.
            examples: as in ``safety.margins``.
            labels: int8 (n,), likewise.
            seed: likewise.
            leaf: int (n,), leaf categories.
            leaves: their paths.
        """
        margin, centre, fits = learn(titles, examples, labels, seed)
        above = shelves(margin, leaf)
        named = {leaves[int(code)]: float(above[code]) for code in np.flatnonzero(above > 0)}
        return cls(centre, fits, named), np.asarray(margin - above[leaf], np.float64)

    def margin(self, titles: Scores, leaves: Sequence[str]) -> NDArray[np.float64]:
        """How much every item reads like harm, less what its whole shelf does, float64 (n,).

        Args:
            titles: float32 (n, d), unit vectors by the encoder of the release.
            leaves: paths of the items' leaf categories.
        """
        own = margin_of(self.fits, titles, self.centre).mean(axis=0)
        return np.asarray(own - [self.shelves.get(path, 0.0) for path in leaves], np.float64)

    def save(self, folder: Path) -> None:
        """Write it into a release's draft."""
        save_arrays(folder / FILE, {"centre": self.centre, "fits": self.fits})
        write_durably(folder / SHELVES, json.dumps(dict(self.shelves), ensure_ascii=False).encode())

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """That of a release; ``None`` where it was trained before there was one.

        Raises:
            ModelFolderError: it is damaged.
        """
        if not (folder / FILE).exists():
            return None
        try:
            saved = load_arrays(folder / FILE)
            shelf = json.loads((folder / SHELVES).read_bytes())
            return cls(np.asarray(saved["centre"], np.float64), np.asarray(saved["fits"], np.float64), shelf)
        except (OSError, ValueError, KeyError) as error:
            raise ModelFolderError(f"{folder}: {FILE} cannot be read ({error}). Train again.") from error
