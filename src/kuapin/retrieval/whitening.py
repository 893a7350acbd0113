"""Whitened text vectors: directions in which all texts vary alike stop drowning the ones that tell items apart."""

import numpy as np
from numpy.typing import NDArray

SHRINKAGE = 0.2


def whiten(vectors: NDArray[np.float32], shrinkage: float = SHRINKAGE) -> NDArray[np.float32]:
    """Centre, rotate to the principal axes, divide by √(eigenvalue + shrinkage · mean eigenvalue), and norm.

    Sentence vectors are far from isotropic: a few directions (length, style, the shop's main category) carry most of
    the variance, and cosines are mostly about these (Su et al. 2021, "Whitening Sentence Representations"). The
    shrinkage keeps rare directions, which are mostly noise, from being blown up.

    Args:
        vectors: float32 (n, d).
        shrinkage: > 0, in units of the mean eigenvalue; a great one leaves the vectors centred only.

    Returns:
        float32 (n, d) of unit length (zero rows stay zero).
    """
    mean, matrix = whitening(vectors, shrinkage)
    white = (vectors - mean) @ matrix
    norms = np.linalg.norm(white, axis=1, keepdims=True)
    return np.asarray(white / np.maximum(norms, 1e-9), np.float32)


def whitening(vectors: NDArray[np.float32], shrinkage: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What is subtracted, float32 (d,), and what is multiplied by then, float32 (d, d); see :func:`whiten`."""
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = vectors - mean
    covariance = (centred.T @ centred).astype(np.float64) / max(len(vectors), 1)
    eigenvalues, axes = np.linalg.eigh(covariance)
    level = max(float(eigenvalues.mean()), 1e-12)
    scale = 1.0 / np.sqrt(np.maximum(eigenvalues, 0.0) + shrinkage * level)
    return mean, (axes * scale).astype(np.float32)
