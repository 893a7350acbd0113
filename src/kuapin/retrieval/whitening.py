"""Whitened text vectors: directions in which all texts vary alike stop drowning the ones that tell items apart."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kuapin.arrays import load_arrays, save_arrays
from kuapin.errors import ModelFolderError

SHRINKAGE = 0.2
_NOISE = 2.0
"""More of it for every axis a vector: the fewer the vectors, the more their eigenvalues spread by chance."""
WHITENING = "whitening.safetensors"
"""In a release: what was done to the text vectors of its items, to be done to those of later ones."""


@dataclass(frozen=True)
class Whitening:
    """What was found on a catalogue, to be done to other vectors as well.

    Attributes:
        mean: float32 (d,).
        axes: float32 (d, d).
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    def of(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Whitened vectors of unit length (zero rows stay zero), float32 (n, d)."""
        white = (vectors - self.mean) @ self.axes
        norms = np.linalg.norm(white, axis=1, keepdims=True)
        return np.asarray(white / np.maximum(norms, 1e-9), np.float32)


def fit_whitening(vectors: NDArray[np.float32], shrinkage: float = SHRINKAGE) -> Whitening:
    """Centre, rotate to the axes, divide by √(eigenvalue + (shrinkage + 2 d / n) · mean eigenvalue), and norm.

    Sentence vectors are far from isotropic: a few directions (length, style, the shop's main category) carry most of
    the variance, and cosines are mostly about these (Su et al. 2021, "Whitening Sentence Representations"). The
    shrinkage keeps rare directions, which are mostly noise, from being blown up; where vectors are few, most are
    (Marchenko and Pastur 1967), and a whitening without its second part drives apart whatever it was fitted on.

    Args:
        vectors: float32 (n, d).
        shrinkage: > 0, in units of the mean eigenvalue; a great one leaves the vectors centred only.
    """
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = vectors - mean
    covariance = (centred.T @ centred).astype(np.float64) / max(len(vectors), 1)
    eigenvalues, axes = np.linalg.eigh(covariance)
    level = max(float(eigenvalues.mean()), 1e-12)
    added = shrinkage + _NOISE * vectors.shape[1] / max(len(vectors), 1)
    scale = 1.0 / np.sqrt(np.maximum(eigenvalues, 0.0) + added * level)
    return Whitening(mean, (axes * scale).astype(np.float32))


def whiten(vectors: NDArray[np.float32], shrinkage: float = SHRINKAGE) -> NDArray[np.float32]:
    """The vectors of a catalogue by their own whitening, float32 (n, d)."""
    return fit_whitening(vectors, shrinkage).of(vectors)


def save_whitening(whitening: Whitening, folder: Path) -> None:
    """Write the whitening into a release's draft."""
    save_arrays(folder / WHITENING, {"mean": whitening.mean, "axes": whitening.axes})


def load_whitening(folder: Path) -> Whitening:
    """The whitening of a part of a release.

    Raises:
        ModelFolderError: it has none.
    """
    try:
        saved = load_arrays(folder / WHITENING)
        return Whitening(np.asarray(saved["mean"], np.float32), np.asarray(saved["axes"], np.float32))
    except (OSError, KeyError, ModelFolderError) as error:
        raise ModelFolderError(
            f"{folder} takes no new items: it was trained by an older Kuapin. Train again."
        ) from error
