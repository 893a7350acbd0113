"""An item as a vector: its text, and what is its own as far as it is known."""

import numpy as np
from numpy.typing import NDArray

from kuapin.sequence.settings import SequenceConfig

Vectors = NDArray[np.float32]
Weights = dict[str, NDArray[np.float32]]
"""Named parameters of a user model; ``model.initial_weights`` lists them."""


def unit(vectors: Vectors) -> Vectors:
    """The same directions with length 1, float32 (n, d); 0 stays 0."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def warmth(interactions: NDArray[np.integer], fade: float) -> Vectors:
    """How much an item's own vector counts, float32 (n,): n / (n + fade); 0 for an item that nobody met."""
    return (interactions / (interactions + fade)).astype(np.float32)


def item_sums(
    weights: Weights,
    config: SequenceConfig,
    text: Vectors | None,
    own: NDArray[np.integer],
    interactions: NDArray[np.integer],
) -> Vectors:
    """Sums P t + n / (n + fade) · v of items, float32 (n, embedding_size); brought to length 1 they are the items.

    A cold item is represented by its text alone; one that is known by both, more and more by itself (DESIGN §5.3;
    the projected text with an added id vector is that of UniSRec, Hou et al., KDD 2022).

    Args:
        weights: of the model.
        config: of the model.
        text: float32 (n, d) text vectors; ``None`` where the model reads none.
        own: (n,), row of the item's own vector; -1 for an item that came after training.
        interactions: (n,), how many it has had by now.
    """
    total = np.zeros((len(own), config.embedding_size), np.float32)
    if config.text and text is not None:
        total += text @ weights["text"]
    if config.ids and len(weights["ids"]):
        known = np.where(own >= 0, warmth(interactions, config.fade), np.float32(0))
        total += known[:, None] * weights["ids"][np.maximum(own, 0)]
    return total
