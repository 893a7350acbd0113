"""Frozen text, bent towards what people meet together."""

from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse

from kuapin.data.histories import Histories
from kuapin.errors import InputError, ModelFolderError
from kuapin.retrieval.source import Arrays, NewItems, Scores, Visible
from kuapin.retrieval.sources.content import Content, ContentConfig, distinct_rows


class AdaptedConfig(ContentConfig):
    """How far the vectors are bent; pooling as in ``content``."""

    temperature: float = Field(0.07, ge=0.025, le=10, description="Of the log-sum-exp over the history.")
    power: float = Field(0.25, ge=0, le=1, description="Exponent of the metric: 0 leaves the whitened vectors.")
    rarity: float = Field(
        0.25, ge=0, le=2, description="An item of the history counts as (users who met it + 1) to the minus this power."
    )
    floor_share: float = Field(1e-3, gt=0, le=1, description="Directions are kept at least at this share of the first.")


class Adapted(Content):
    """Content with vectors z = norm(E Λ^(p/2) Eᵀ-rotated whitened vectors), the eigenpairs (E, Λ) of the pair matrix.

    The pair matrix Σ_u (1 / n_u) Σ_{i ≠ j} z_i z_jᵀ is the co-variance of items that one user met: directions of the
    text space in which people stay among their own are stretched, those in which they wander are shrunk. A closed form
    (no training run), of some hundred thousand interactions and 384² numbers; it is the within-class covariance
    normalisation of Hatch et al. (2006) read from the other side. What it learnt in some categories holds in a new one.

    What everybody meets tells less of a person: the items of a history count as (users + 1)^-rarity, 1 on average.
    """

    name = "adapted"
    learns = True

    def __init__(self, config: AdaptedConfig | None = None) -> None:
        self.settings = config or AdaptedConfig()
        super().__init__(self.settings)

    def fit(self, visible: Visible) -> Self:
        """Bend the whitened vectors.

        Raises:
            InputError: there are no vectors.
        """
        white = visible.whitened()
        if white is None:
            raise InputError("The source 'adapted' needs text vectors, and none came. Encode the items.")
        texts, self.text_of = distinct_rows(white)
        matrix = visible.histories.matrix()
        met = np.bincount(matrix.indices, minlength=matrix.shape[1])
        self.rare = np.asarray((met + 1.0) ** -self.settings.rarity, np.float32)
        self.rotation: Scores | None = self._rotation(matrix, texts)
        self.vectors = _bent(texts, self.rotation)
        return self

    def with_items(self, new: NewItems) -> Self:
        """New texts, bent as the others; nobody has met them."""
        if new.white is None or self.rotation is None:
            raise ModelFolderError("The release cannot read the texts of new items. Train again.")
        other = self._with_texts(new, _bent(new.white, self.rotation))
        other.rare = new.padded(self.rare, 1.0)
        return other

    def _counts(self, recent: Histories) -> Scores:
        rare = self.rare[recent.items]
        total = np.bincount(recent.users, weights=rare, minlength=len(recent))
        mean = total / np.maximum(recent.lengths, 1)
        return np.asarray(rare / mean[recent.users], np.float32)

    def arrays(self) -> Arrays:
        """Those of content, `rare` (n_items,), how much an item of a history counts, `rotation` (d, d); float32."""
        own: Arrays = {"rare": self.rare}
        return super().arrays() | own | ({} if self.rotation is None else {"rotation": self.rotation})

    def restore(self, arrays: Arrays) -> Self:
        """Take `vectors`, `text_of`, `rare` and, where the release has it, `rotation`."""
        self.rotation = np.asarray(arrays["rotation"], np.float32) if "rotation" in arrays else None
        self.rare = np.asarray(arrays["rare"], np.float32)
        return super().restore(arrays)

    def _rotation(self, matrix: sparse.csr_matrix, texts: Scores) -> Scores:
        matrix = matrix[np.diff(matrix.indptr) > 1]
        if matrix.shape[0] == 0:
            return np.eye(texts.shape[1], dtype=np.float32)
        share = (1.0 / np.diff(matrix.indptr)).astype(np.float32)
        n_items, ones = len(self.text_of), np.ones(len(self.text_of), np.float32)
        reads = sparse.csr_matrix((ones, self.text_of, np.arange(n_items + 1)), shape=(n_items, len(texts)))
        met = matrix @ reads
        total = np.asarray(met @ texts, np.float32)
        alone = np.asarray(met.T @ share, np.float32)
        pairs = (total.T @ (total * share[:, None]) - texts.T @ (texts * alone[:, None])).astype(np.float64)
        eigenvalues, axes = np.linalg.eigh(pairs)
        top = max(float(eigenvalues[-1]), 1e-12)
        stretch = np.maximum(eigenvalues / top, self.settings.floor_share) ** (self.settings.power / 2)
        return np.asarray(axes * stretch, np.float32)


def _bent(white: Scores, rotation: Scores) -> Scores:
    bent = white @ rotation
    norms = np.linalg.norm(bent, axis=1, keepdims=True)
    return np.asarray(bent / np.maximum(norms, 1e-9), np.float32)
