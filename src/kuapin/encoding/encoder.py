"""Text in, unit vector out: what every encoder offers, whatever computes it."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from kuapin.encoding.settings import Description
from kuapin.errors import ModelFolderError
from kuapin.progress import SILENT, Progress, Step

DESCRIPTION = "encoder.json"
WINDOW = 8192
"""Texts tokenised and sorted at once; bounds the memory of a large catalogue."""

Vectors = NDArray[np.float32]


class Encoder(ABC):
    """Turns texts into vectors; opening one reads a description only, the model is read when first used.

    Attributes:
        folder: that holds it.
        description: what it says of itself.
    """

    def __init__(self, folder: Path, description: Description) -> None:
        self.folder = folder
        self.description = description

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.description.dimension

    @property
    def fingerprint(self) -> str:
        """What the vectors depend on, the text aside: weights, calibration, engine, precision, longest text."""
        said = self.description
        parts = [said.weights_hash, said.graph_hash, said.engine, said.precision, said.max_length, said.prefix]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def encode(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        """Vectors of many texts, in their order: float32 (n, d), each of unit length.

        Equal texts are encoded once. An empty text has a vector too, that of no words.
        """
        place = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        distinct = list(place)
        unique = np.empty((len(place), self.dimension), np.float32)
        with progress.step("Encoding texts", len(distinct), "texts") as step:
            for start in range(0, len(distinct), WINDOW):
                self._encode_window(distinct[start : start + WINDOW], unique[start : start + WINDOW], step)
        return unique if len(distinct) == len(texts) else unique[[place[text] for text in texts]]

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Share of the texts' tokens that the model's vocabulary lacks, as far as it can tell: what it cannot read."""
        return 0.0

    @abstractmethod
    def _encode_window(self, texts: list[str], out: Vectors, step: Step) -> None:
        """Write the vectors of at most ``WINDOW`` distinct texts to ``out``, float32 (n, d)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write all that ``load_encoder`` needs into an empty or absent folder, for a release."""


def write_description(folder: Path, description: Description) -> None:
    """Write ``encoder.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_description(folder: Path) -> Description:
    """Read ``encoder.json``.

    Raises:
        ModelFolderError: it is missing or says something else.
    """
    path = folder / DESCRIPTION
    try:
        return Description.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelFolderError(
            f"{folder}: there is no {DESCRIPTION}, so this is no encoder. Run the step again."
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise ModelFolderError(
            f"{path}: this is not an encoder's description. Delete the folder {folder} and run the step again."
        ) from error
