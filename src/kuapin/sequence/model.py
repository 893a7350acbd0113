"""The user model: a causal transformer over the vectors of a history. Functions of named weights, for torch."""

from typing import Any

import numpy as np

from kuapin import columns as c
from kuapin.extras import require
from kuapin.sequence.batches import GAPS
from kuapin.sequence.item_representation import Weights
from kuapin.sequence.settings import SequenceConfig

FAR = -1e9
"""Added to the logit of what lies ahead; float32 and bfloat16 both hold it, and its exponential is 0."""
WIDER = 4
"""Width of a block's inner layer, in embedding sizes."""


def initial_weights(config: SequenceConfig, n_items: int, text_size: int, n_categories: int) -> Weights:
    """Random weights, float32, by the config's seed.

    ``text`` (text_size, d) and ``ids`` (n_items, d) make item vectors; ``event``, ``gap`` and ``category`` (kinds, d)
    are added to what is read, the last category row, always 0, standing for those that came after training; then every
    block's, and ``scale`` (), the logarithm of what cosines are multiplied by.
    """
    rng, d = np.random.default_rng(config.seed), config.embedding_size

    def normal(*shape: int) -> Any:
        return (rng.standard_normal(shape) / np.sqrt(d)).astype(np.float32)

    def linear(name: str, inside: int, outside: int) -> Weights:
        bound = 1 / np.sqrt(inside)
        matrix = rng.uniform(-bound, bound, (inside, outside)).astype(np.float32)
        return {f"{name}.weight": matrix, f"{name}.bias": np.zeros(outside, np.float32)}

    def norm(name: str) -> Weights:
        return {f"{name}.weight": np.ones(d, np.float32), f"{name}.bias": np.zeros(d, np.float32)}

    weights: Weights = {
        "text": normal(text_size if config.text else 0, d),
        "ids": normal(n_items if config.ids else 0, d),
        "event": np.zeros((len(c.EVENTS), d), np.float32),
        "gap": np.zeros((GAPS, d), np.float32),
        "category": np.zeros((n_categories + 1, d), np.float32),
        "scale": np.array(np.log(1 / config.temperature), np.float32),
        **norm("first"),
        **norm("last"),
    }
    for layer in range(config.layers):
        weights |= norm(f"{layer}.before") | linear(f"{layer}.attend", d, 3 * d) | linear(f"{layer}.join", d, d)
        weights |= norm(f"{layer}.between") | linear(f"{layer}.widen", d, WIDER * d)
        weights |= linear(f"{layer}.narrow", WIDER * d, d)
        weights[f"{layer}.distance"] = np.zeros((config.heads, config.max_history), np.float32)
    return weights


def hidden(
    w: dict[str, Any],
    config: SequenceConfig,
    vectors: Any,
    events: Any,
    gaps: Any,
    categories: Any,
    dropout: float = 0.0,
) -> Any:
    """What the model knows after every interaction: unit vectors, float32 (B, L, d).

    Pre-norm transformer blocks (Vaswani et al. 2017) that look back only, as in SASRec (Kang and McAuley, ICDM 2018).
    Where something stands is told by its distance, with a learnt bias for every head and distance (Raffel et al. 2020),
    so that a longer history moves nothing.

    Args:
        w: weights as tensors.
        config: of the model.
        vectors: (B, L, d) item vectors.
        events: int64 (B, L).
        gaps: int64 (B, L).
        categories: int64 (B, L), of the items.
        dropout: in training.
    """
    torch = require("torch", "train")
    functional = torch.nn.functional
    d, heads = config.embedding_size, config.heads

    def norm(name: str, x: Any) -> Any:
        return functional.layer_norm(x, (d,), w[f"{name}.weight"], w[f"{name}.bias"])

    def linear(name: str, x: Any) -> Any:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    def drop(x: Any) -> Any:
        return functional.dropout(x, dropout) if dropout else x

    length = vectors.shape[1]
    steps = torch.arange(length)
    back = steps[:, None] - steps[None, :]  # (L, L), > 0: the column lies before the row
    ahead = (back < 0) * FAR
    x = drop(norm("first", vectors) + w["event"][events] + w["gap"][gaps] + w["category"][categories])  # (B, L, d)
    for layer in range(config.layers):
        qkv = linear(f"{layer}.attend", norm(f"{layer}.before", x))
        qkv = qkv.reshape(-1, length, 3, heads, d // heads).permute(2, 0, 3, 1, 4)  # (3, B, h, L, d/h)
        query, key, value = qkv[0], qkv[1], qkv[2]
        bias = w[f"{layer}.distance"][:, back.clamp(min=0, max=config.max_history - 1)] + ahead  # (h, L, L)
        attention = torch.softmax(query @ key.transpose(-1, -2) / (d // heads) ** 0.5 + bias, dim=-1)
        found = (drop(attention) @ value).permute(0, 2, 1, 3).reshape(-1, length, d)
        x = x + drop(linear(f"{layer}.join", found))
        inner = drop(functional.gelu(linear(f"{layer}.widen", norm(f"{layer}.between", x))))
        x = x + drop(linear(f"{layer}.narrow", inner))
    return functional.normalize(norm("last", x), dim=-1)
