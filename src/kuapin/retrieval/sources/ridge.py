"""Reduced-rank ridge regression: from what people met elsewhere, and how it reads, to what they meet in an opening."""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from kuapin.data.histories import Histories
from kuapin.retrieval.source import Arrays, NewItems, Scores, Visible
from kuapin.retrieval.sources.factors import FactorSource

OVERSAMPLING = 10
POWER_ITERATIONS = 2
SINGULAR = 1e-10
"""Squared singular values below this share of the largest are none."""


class RidgeConfig(BaseModel):
    """What the regression reads and how strongly it is held back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding_size: int = Field(128, ge=1, le=1_024, description="Rank of the regression.")
    l2: float = Field(30.0, gt=0, description="L2 penalty; the items of a history have length 1.")
    text_weight: float = Field(
        0.5, ge=0, description="Mean squared length of the texts of a history, that of its items being 1."
    )
    max_users: int = Field(8_000, ge=2, description="Users learnt from; a sample of more. Time grows with its cube.")
    seed: int = Field(0, ge=0, description="Of the sample and of the first directions.")


class Ridge(FactorSource):
    """Score = x · y, 1 being the mean over users and items of the opening.

    A user's features are φ = Σ_i [e_i, γ w_i] / √n over the n items i of his history outside the opening, e_i the unit
    vector of the item, w_i its whitened text vector, γ such that the texts weigh ``text_weight``. On the users with a
    history on both sides B = (ΦᵀΦ + λ I)⁻¹ Φᵀ Y, Y their binary interactions in the opening; it is solved in the space
    of users, and cut to the directions of the largest fitted values (reduced-rank regression, A. J. Izenman,
    "Reduced-rank regression for the multivariate linear model", J. Multivariate Analysis 1975), found by a randomised
    range finder (Halko, Martinsson, Tropp 2011). So x = Σ_i z_i / √n with one learnt vector an item, to which its text
    lends what its own interactions do not say: also an item that nobody has met counts in a history. No user is stored.

    Where nothing is opening (``Visible.opening`` is ``None``) all items are both features and targets. Floor: 0, items
    of the opening that nobody met, all other items, and users without a history.
    """

    name = "ridge"
    cold_items = False
    personal = True

    def __init__(self, config: RidgeConfig | None = None) -> None:
        self.config = config or RidgeConfig()

    def fit(self, visible: Visible) -> Self:
        """Solve the regression on a sample of the users with something on both sides."""
        n_items, size = len(visible.catalogue), self.config.embedding_size
        self.inputs, self.factors = np.zeros((n_items, size), np.float32), np.zeros((n_items, size), np.float32)
        everything = np.arange(n_items)
        inside = everything if visible.opening is None else visible.opening
        outside = everything if visible.opening is None else np.setdiff1d(everything, inside)
        matrix = visible.histories.matrix()
        source, target = matrix[:, outside], matrix[:, inside]
        users = np.flatnonzero((np.diff(source.indptr) > 0) & (np.diff(target.indptr) > 0))
        if len(users) > self.config.max_users:
            users = np.sort(np.random.default_rng(self.config.seed).permutation(users)[: self.config.max_users])
        if len(users):
            white = visible.whitened()
            inputs, outputs = self._solve(source[users], target[users], None if white is None else white[outside])
            self.inputs[outside, : inputs.shape[1]] = inputs
            self.factors[inside, : outputs.shape[1]] = outputs
        return self

    def _solve(
        self, source: sparse.csr_matrix, target: sparse.csr_matrix, white: Scores | None
    ) -> tuple[Scores, Scores]:
        """The factors of the columns of ``source`` as inputs, and of those of ``target``, float32 (n, rank)."""
        phi = _by_root(source)
        gram = (phi @ phi.T).toarray()
        gamma2, read = 0.0, np.empty(0, np.float32)
        if white is not None:
            read = np.asarray(phi @ white, np.float32)
            gamma2 = self.config.text_weight / max(float((read**2).sum()) / len(read), 1e-9)
            gram += gamma2 * (read @ read.T)
        held = gram.copy()
        held[np.diag_indices_from(held)] += np.float32(self.config.l2)
        factor = cho_factor(held, lower=True, overwrite_a=True, check_finite=False)

        def solve(right: Scores) -> Scores:
            return np.asarray(cho_solve(factor, right, check_finite=False), np.float32)

        axes = self._axes(target, gram, solve)
        dual = solve(np.asarray(target @ axes, np.float32))
        inputs = np.asarray(phi.T @ dual, np.float32)
        if white is not None:
            inputs += gamma2 * (white @ (read.T @ dual))
        axes[np.bincount(target.indices, minlength=target.shape[1]) == 0] = 0.0
        mean = target.nnz / (target.shape[0] * target.shape[1])
        return inputs / np.float32(mean), axes

    def _axes(self, target: sparse.csr_matrix, gram: Scores, solve: Callable[[Scores], Scores]) -> Scores:
        """Orthonormal directions of the largest fitted values, float32 (n_targets, rank)."""
        width = min(self.config.embedding_size + OVERSAMPLING, *target.shape)
        axes = np.random.default_rng(self.config.seed).standard_normal((target.shape[1], width), np.float32)
        for _ in range(POWER_ITERATIONS):
            fitted = gram @ solve(np.asarray(target @ axes, np.float32))
            wide = np.asarray(target.T @ solve(gram @ fitted), np.float32)
            length, turn = _principal(wide)
            axes = wide @ np.asarray(turn / length, np.float32)
        _, turn = _principal(gram @ solve(np.asarray(target @ axes, np.float32)))
        return np.asarray(axes @ turn[:, : self.config.embedding_size], np.float32)

    def users(self, histories: Histories) -> Scores:
        """Sums of the items' inputs over √n, n the items of the history outside the opening."""
        matrix = histories.matrix()
        matrix = matrix @ sparse.diags(self.inputs.any(axis=1).astype(np.float32))
        matrix.eliminate_zeros()
        return np.asarray(_by_root(matrix) @ self.inputs, np.float32)

    def with_items(self, new: NewItems) -> Self:
        """New items have factors and inputs of 0."""
        other = super().with_items(new)
        other.inputs = new.padded(self.inputs)
        return other

    def arrays(self) -> Arrays:
        """`inputs` (an item in a history) and `factors` (as what is recommended), float32 (n_items, embedding_size)."""
        return {"inputs": self.inputs, "factors": self.factors}

    def restore(self, arrays: Arrays) -> Self:
        """Take `inputs` and `factors`."""
        self.inputs = np.asarray(arrays["inputs"], np.float32)
        self.factors = np.asarray(arrays["factors"], np.float32)
        return self


def _principal(columns: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Singular values of a tall matrix (n, k), falling, and its right singular vectors (k, rank), both float64.

    From the small Gram matrix: what is singular, as with few users, is left out, where an SVD need not converge.
    """
    tall = columns.astype(np.float64)
    squares, vectors = np.linalg.eigh(tall.T @ tall)
    kept = np.flatnonzero(squares > SINGULAR * max(float(squares[-1]), 1e-300))[::-1]
    return np.sqrt(squares[kept]), vectors[:, kept]


def _by_root(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows divided by the root of their number of entries."""
    count = np.diff(matrix.indptr)
    return sparse.diags((1.0 / np.sqrt(np.maximum(count, 1))).astype(np.float32)) @ matrix
