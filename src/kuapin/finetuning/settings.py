"""All settings of fine-tuning; a preset is a TOML file with these keys."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kuapin.finetuning.adversarial import AdversarialConfig
from kuapin.finetuning.augmentation import AugmentationConfig
from kuapin.finetuning.objectives.causal_lm import CausalLMConfig
from kuapin.finetuning.objectives.co_interaction import CoInteractionConfig
from kuapin.finetuning.objectives.generation import GenerationConfig
from kuapin.finetuning.objectives.item_classification import ItemClassificationConfig
from kuapin.finetuning.objectives.masked_lm import MaskedLMConfig
from kuapin.finetuning.objectives.next_item import NextItemConfig
from kuapin.finetuning.objectives.regression import RegressionConfig
from kuapin.finetuning.objectives.simcse import SimCSEConfig
from kuapin.finetuning.objectives.token_classification import TokenClassificationConfig
from kuapin.finetuning.objectives.tsdae import TSDAEConfig
from kuapin.finetuning.scratch import ScratchConfig
from kuapin.finetuning.strategies.adalora import AdaLoRAConfig
from kuapin.finetuning.strategies.bottleneck import BottleneckConfig
from kuapin.finetuning.strategies.lora import LoRAConfig
from kuapin.finetuning.strategies.prefix import PrefixConfig
from kuapin.finetuning.strategies.top_layers import TopLayersConfig
from kuapin.finetuning.whitening import WhiteningConfig

ObjectiveName = Literal[
    "masked-lm",
    "causal-lm",
    "simcse",
    "tsdae",
    "item-classification",
    "token-classification",
    "regression",
    "generation",
    "co-interaction",
    "next-item",
]
StrategyName = Literal["head-only", "top-layers", "full", "lora", "adalora", "bottleneck", "prefix"]


class TrainingConfig(BaseModel):
    """The training loop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimizer: Literal["adamw", "sgd", "adafactor"] = Field("adamw", description="Which optimiser.")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="How the learning rate goes on after the warm-up."
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps in which the learning rate rises from 0.")
    learning_rate: float = Field(
        2e-5, gt=0, le=1, description="Highest learning rate; LoRA and adapters want about ten times full tuning's."
    )
    batch_size: int = Field(32, ge=1, le=65_536, description="Examples of a step, per accumulated batch.")
    accumulation: int = Field(1, ge=1, le=4096, description="Batches whose gradients are added before a step.")
    epochs: float = Field(1.0, gt=0, le=1000, description="Passes over the examples.")
    max_steps: int | None = Field(
        None,
        ge=0,
        description="End after so many steps, whatever the epochs; 0: no training, so that pooling, whitening and a "
        "head that starts warm are all that is new.",
    )
    evaluate_every: float = Field(
        0.25, gt=0, description="Epochs between two measurements (and checkpoints) on what is held out."
    )
    patience: int | None = Field(
        3, ge=1, description="End when so many measurements in a row brought nothing better; none: never."
    )
    soup: int = Field(
        1,
        ge=1,
        le=32,
        description="Average the weights of so many of the best measurements at most, as long as the metric gets no "
        "worse; 1: the best alone.",
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="Of matrices; biases and norms have none.")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="The learning rate of a layer is that of the layer above, times this."
    )
    momentum: float = Field(0.0, ge=0, lt=1, description="Of SGD.")
    dropout: float | None = Field(None, ge=0, lt=1, description="Not set: the backbone's own.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Of objectives with a cross-entropy over classes or over texts."
    )
    r_drop: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of what two readings under different dropout disagree in; of classifiers. 0: one reading.",
    )
    clip: float = Field(1.0, gt=0, description="Longest gradient, over all parameters together.")
    precision: Literal["auto", "f32", "bf16"] = Field(
        "auto", description="Of the products in training; auto: bf16 where the processor has it and the model is large."
    )
    tracker: Literal["auto", "none", "tensorboard", "wandb", "mlflow"] = Field(
        "auto", description="What records the curves; auto: TensorBoard where it is installed."
    )
    adversarial: AdversarialConfig = AdversarialConfig()
    augmentation: AugmentationConfig = AugmentationConfig()


class FinetuningConfig(BaseModel):
    """What is optimised, what may change, and how it is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: ObjectiveName = Field("co-interaction", description="What is optimised.")
    first: ObjectiveName | None = Field(
        None,
        description="Objective to train on before that one: continued pre-training on the shop's own words. Not set: "
        "none.",
    )
    strategy: StrategyName = Field("lora", description="Which parameters may change. From scratch and not set: full.")
    backbone: str | None = Field(
        None, min_length=1, description="Language model to start from. Not set: encoding.backbone of the shop."
    )
    from_scratch: bool = Field(
        default=False,
        description="Start from a small model with random weights and a tokenizer of the shop's own words instead.",
    )
    source_categories: tuple[str, ...] = Field(
        (), description="Top-level categories whose texts and interactions may be seen; empty: all."
    )
    reads: Literal["text", "title"] = Field(
        "text", description="What stands for an item: its whole text, or its title alone, which takes half the time."
    )
    max_length: int | None = Field(
        None,
        ge=8,
        le=8192,
        description="Longest text in training, tokens; the rest is cut off. At most what the backbone reads. Not set: "
        "that, 64 at most.",
    )
    seed: int = Field(0, ge=0, lt=2**31, strict=True, description="Of every draw; the same seed gives the same model.")
    ensemble: int = Field(
        1,
        ge=1,
        le=32,
        description="Train so many classifiers, under this seed and the following ones, on the same split; what they "
        "say is averaged, in kuapin label too (item-classification).",
    )
    training: TrainingConfig = TrainingConfig()
    first_training: TrainingConfig = TrainingConfig()
    pooling: Literal["mean", "cls", "last", "max", "ends"] | None = Field(
        None,
        description="Of the new backbone: ends keeps the words beside what the last layer makes of them. Not set: that "
        "of the one that training starts from.",
    )
    whitening: WhiteningConfig = WhiteningConfig()
    scratch: ScratchConfig = ScratchConfig()
    masked_lm: MaskedLMConfig = MaskedLMConfig()
    causal_lm: CausalLMConfig = CausalLMConfig()
    simcse: SimCSEConfig = SimCSEConfig()
    tsdae: TSDAEConfig = TSDAEConfig()
    item_classification: ItemClassificationConfig = ItemClassificationConfig()
    token_classification: TokenClassificationConfig = TokenClassificationConfig()
    regression: RegressionConfig = RegressionConfig()
    generation: GenerationConfig = GenerationConfig()
    co_interaction: CoInteractionConfig = CoInteractionConfig()
    next_item: NextItemConfig = NextItemConfig()
    top_layers: TopLayersConfig = TopLayersConfig()
    lora: LoRAConfig = LoRAConfig()
    adalora: AdaLoRAConfig = AdaLoRAConfig()
    bottleneck: BottleneckConfig = BottleneckConfig()
    prefix: PrefixConfig = PrefixConfig()

    @model_validator(mode="before")
    @classmethod
    def _all_of_what_knows_nothing(cls, given: Any) -> Any:
        """A model from scratch trains in full: a small change of random weights leaves them random."""
        return {"strategy": "full"} | given if isinstance(given, dict) and given.get("from_scratch") else given
