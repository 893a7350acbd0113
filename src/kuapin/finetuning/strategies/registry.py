"""All strategies, by name."""

from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.adalora import AdaLoRA
from kuapin.finetuning.strategies.bottleneck import Bottleneck
from kuapin.finetuning.strategies.full import Full
from kuapin.finetuning.strategies.head_only import HeadOnly
from kuapin.finetuning.strategies.lora import LoRA
from kuapin.finetuning.strategies.prefix import Prefix
from kuapin.finetuning.strategies.top_layers import TopLayers
from kuapin.finetuning.strategy import Strategy

STRATEGIES: dict[str, type[Strategy]] = {
    kind.name: kind for kind in (HeadOnly, TopLayers, Full, LoRA, AdaLoRA, Bottleneck, Prefix)
}
"""Name → class; its config is the section of that name in :class:`FinetuningConfig`, where it has one."""


def make_strategy(config: FinetuningConfig) -> Strategy:
    """The strategy that a configuration names, with its section's settings."""
    kind = STRATEGIES[config.strategy]
    section = getattr(config, config.strategy.replace("-", "_"), None)
    return kind() if section is None else kind(section)  # type: ignore[call-arg]
