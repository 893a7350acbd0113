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
    only: Any = None,
) -> Any:
    """What the model knows after every interaction: unit vectors, float32 (B, L, d), or (B, 1, d) after one of each.

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
        only: int64 (B,), the one place of every history that is asked for, which spares most of the last block;
            ``None``: all.
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

    def split(x: Any) -> Any:
        return x.reshape(x.shape[0], -1, heads, d // heads).transpose(1, 2)  # (B, h, L, d/h)

    def at(x: Any, places: Any) -> Any:
        return torch.gather(x, 1, places.view(-1, 1, 1).expand(-1, 1, x.shape[-1]))  # (B, 1, d)

    length = vectors.shape[1]
    steps = torch.arange(length, device=vectors.device)
    back = steps[None, :, None] - steps  # (1, L, L), > 0: the column lies before the row
    x = drop(norm("first", vectors) + w["event"][events] + w["gap"][gaps] + w["category"][categories])  # (B, L, d)
    for layer in range(config.layers):
        read = norm(f"{layer}.before", x)
        if only is not None and layer == config.layers - 1:
            x, back = at(x, only), only[:, None, None] - steps  # (B, 1, d), (B, 1, L)
            weight, offset = w[f"{layer}.attend.weight"], w[f"{layer}.attend.bias"]
            query = split(at(read, only) @ weight[:, :d] + offset[:d])
            key, value = (
                split(read @ weight[:, part * d : (part + 1) * d] + offset[part * d : (part + 1) * d])
                for part in (1, 2)
            )
        else:
            query, key, value = (split(part) for part in linear(f"{layer}.attend", read).split(d, dim=-1))
        bias = w[f"{layer}.distance"][:, back.clamp(min=0, max=config.max_history - 1)] + (back < 0) * FAR
        logits = query @ key.transpose(-1, -2) / (d // heads) ** 0.5 + bias.transpose(0, 1)  # (B, h, L, L)
        found = (drop(torch.softmax(logits, dim=-1)) @ value).permute(0, 2, 1, 3).reshape(x.shape)
        x = x + drop(linear(f"{layer}.join", found))
        inner = drop(functional.gelu(linear(f"{layer}.widen", norm(f"{layer}.between", x))))
        x = x + drop(linear(f"{layer}.narrow", inner))
    return functional.normalize(norm("last", x), dim=-1)
