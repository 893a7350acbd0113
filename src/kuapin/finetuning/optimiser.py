"""Which learning rate and weight decay each parameter gets."""

import re
from collections.abc import Callable
from typing import Any

from kuapin.encoding.additions import layers_of
from kuapin.finetuning.reader import Reader
from kuapin.finetuning.settings import TrainingConfig
from kuapin.finetuning.strategy import trainable

_LAYER = re.compile(r"\.(?:layers?|h|block|blocks)\.(\d+)\.")


def parameter_groups(
    reader: Reader, *, learning_rate: float, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Groups for a torch optimiser.

    Of L layers, layer l (from 0 at the bottom) has the rate η · γ^(L − 1 − l), as has what is added to it, the
    embeddings below them η · γ^L, the head, the projections and a prefix η (Howard and Ruder 2018, ULMFiT,
    discriminative fine-tuning). Vectors (biases, norms) have no weight decay.

    Args:
        reader: whose trainable parameters.
        learning_rate: η.
        weight_decay: of matrices.
        layer_decay: γ in (0, 1]; 1: one rate for all.
    """
    n_layers = len(layers_of(reader.backbone))
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in trainable(reader).items():
        rate = learning_rate * layer_decay ** _depth(name, n_layers)
        decay = weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def make_optimiser(reader: Reader, config: TrainingConfig, kind: Callable[..., Any], options: dict[str, Any]) -> Any:
    """An optimiser over the groups.

    Args:
        reader: whose trainable parameters.
        config: learning rate and decays.
        kind: the torch class.
        options: its own, as the Trainer gives them.
    """
    if config.optimizer == "sgd":
        options = options | {"momentum": config.momentum}
    groups = parameter_groups(
        reader,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        layer_decay=config.layer_decay,
    )
    return kind(groups, **options)


def _depth(name: str, n_layers: int) -> int:
    """How far a parameter lies below the head: 0 for the head and the top layer."""
    if not name.startswith("backbone.") or ".prompt_encoder." in name:  # PEFT's prefix, which every layer reads
        return 0
    found = _LAYER.search(name)
    if found:
        return n_layers - 1 - int(found[1])
    return n_layers if "embed" in name or ".wte." in name or ".wpe." in name else 0
