"""The trainable model: backbone, pooling, projections, and the head that an objective adds."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from kuapin.encoding.backbone import Backbone
from kuapin.encoding.export import dense_layer, quietly, read
from kuapin.errors import InputError
from kuapin.extras import require

Tensor = Any
"""A torch tensor; its shape is in the docstring."""
Module = Any
"""A torch module."""

_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
)


class Reader(Protocol):
    """What objectives and strategies see of the model.

    Attributes:
        backbone: tokens to token vectors; strategies change it or put something in its place.
        projections: applied after pooling, in order.
        head: what the objective added.
        width: of a token vector.
        pooled_width: of a text's vector before the projections.
        vocabulary: number of tokens.
        config: the backbone's own.
        head_is_new: whether a language model's head had no weights in the backbone's folder.
    """

    backbone: Module
    projections: Module
    head: Module
    width: int
    pooled_width: int
    vocabulary: int
    config: Any
    head_is_new: bool
    training: bool

    def hidden(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token vectors, float32 (B, T, h)."""

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """One vector a text after the projections, float32 (B, d), of any length."""

    def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """One unit vector a text, float32 (B, d): what the encoder will give."""

    def embeddings(self) -> Tensor:
        """The token embeddings, float32 (vocabulary, h)."""

    def named_parameters(self) -> Any:
        """Names and parameters, each parameter once."""

    def modules(self) -> Any:
        """All modules."""

    def to(self, device: Any) -> Any:
        """All parameters moved."""

    def train(self, mode: bool = ...) -> Any:  # noqa: FBT001 - torch's own signature
        """Dropout on or off."""

    def eval(self) -> Any:
        """Dropout off."""


def open_reader(backbone: Backbone, model_class: str = "AutoModel", dropout: float | None = None) -> Reader:
    """A backbone ready to be trained, in float32.

    Args:
        backbone: whose weights to start from.
        model_class: ``AutoModel``; ``AutoModelForMaskedLM`` or ``AutoModelForCausalLM`` bring the language model's own
            head along, as ``head``.
        dropout: instead of the backbone's own, in all its places.

    Raises:
        InputError: the weights do not fit the description.
    """
    torch, transformers = require("torch", "train"), require("transformers", "train")
    with quietly():
        config = transformers.AutoConfig.from_pretrained(backbone.folder, local_files_only=True)
        for name in _DROPOUTS:
            if dropout is not None and hasattr(config, name):
                setattr(config, name, dropout)
        try:
            model, told = getattr(transformers, model_class).from_pretrained(
                backbone.folder,
                config=config,
                attn_implementation="sdpa",
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
        except (ValueError, KeyError, RuntimeError) as error:
            raise InputError(
                f"backbone {backbone.name!r}: transformers cannot open it as {model_class} "
                f"({str(error).splitlines()[0]}). Choose another backbone or objective."
            ) from error
    base = model if model_class == "AutoModel" else model.base_model
    head = _language_head(model) if base is not model else torch.nn.Identity()
    inside = f"{model.base_model_prefix}."
    projections = torch.nn.ModuleList([dense_layer(part) for part in backbone.dense])

    class SentenceReader(torch.nn.Module):  # type: ignore[misc, name-defined]
        accepts_loss_kwargs = False  # else the Trainer takes the loss for a sum over accumulated batches

        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.projections, self.head = base, projections, head
            self.head_is_new = base is not model and any(not key.startswith(inside) for key in told["missing_keys"])
            self.config, self.width = config, int(config.hidden_size)
            self.pooled_width = self.width * (2 if backbone.pooling == "ends" else 1)
            self.vocabulary = int(config.vocab_size)
            self.objective: Any = None

        def hidden(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (B, T, h)

        def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            out = read(torch, self.backbone, input_ids, attention_mask, backbone.pooling)  # (B, h), (B, 2 h)
            for projection in self.projections:
                out = projection(out)
            return out

        def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return torch.nn.functional.normalize(self.pooled(input_ids, attention_mask), dim=-1)  # (B, d)

        def embeddings(self) -> Tensor:
            return self.backbone.get_input_embeddings().weight

        def forward(self, **batch: Tensor) -> Mapping[str, Tensor]:
            return {"loss": self.objective.loss(self, batch)}

    return SentenceReader()


def vector_width(reader: Reader) -> int:
    """Length of the vector of a text, behind the projections."""
    return int(reader.projections[-1][0].out_features) if len(reader.projections) else reader.pooled_width


def _language_head(model: Module) -> Module:
    """What turns token vectors into logits in a language model: the checkpoint's own, its output layer tied or not."""
    for name in ("cls", "lm_head"):
        if hasattr(model, name):
            return getattr(model, name)
    output = model.get_output_embeddings()
    if output is None:
        raise InputError(
            f"The model {type(model).__name__} has no head for language modelling that is known here. "
            "Choose a BERT-, RoBERTa- or GPT-like backbone."
        )
    return output


def reads_left_to_right(backbone: Backbone) -> bool:
    """Whether a token vector knows only what stands before it (GPT-like)."""
    auto = require("transformers.models.auto.modeling_auto", "train")
    said = _description(backbone)
    name = said.get("model_type")
    generates, fills = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return (name in generates and name not in fills) or bool(said.get("is_decoder"))


def positions(backbone: Backbone) -> int | None:
    """How many tokens have a place; ``None`` where places are no learned vectors and the folder does not say."""
    said = _description(backbone)
    found = said.get("max_position_embeddings") or said.get("n_positions")
    return None if found is None else int(found) - (2 if "roberta" in str(said.get("model_type")) else 0)


def _description(backbone: Backbone) -> dict[str, Any]:
    said = json.loads((backbone.folder / "config.json").read_text(encoding="utf-8"))
    return said if isinstance(said, dict) else {}
