"""What a backbone's folder may hold beside its weights because it cannot be folded into them: adapters and prefixes.

Fine-tuning writes them; whatever runs the backbone, torch or an export, puts them on it here.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kuapin.encoding.backbone import weight_files
from kuapin.errors import InputError, ModelFolderError
from kuapin.extras import require

DESCRIPTION = "additions.json"
WEIGHTS = "additions.safetensors"

Placement = Literal["houlsby", "pfeiffer"]


class Additions(BaseModel):
    """``additions.json``: what lies in ``additions.safetensors``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(1, description="Version of this file.")
    kind: Literal["bottleneck", "prefix"] = Field(description="Adapters inside the layers, or keys and values before.")
    placement: Placement = Field("houlsby", description="Where the adapters are.")
    size: int = Field(ge=1, description="Width of the bottleneck, or tokens of the prefix.")
    weights_hash: str | None = Field(
        None, description="Of the weights that they were learned on (``weights_hash``); none: written before it was."
    )


def weights_hash(folder: Path) -> str:
    """SHA-256 over the weights of the transformer in a folder, the additions aside."""
    digest = hashlib.sha256()
    for path in weight_files(folder):
        if path.name != WEIGHTS:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def with_additions(model: Any, folder: Path) -> Any:
    """A transformers model with the additions of its folder on it; the model itself where there are none.

    Raises:
        InputError: they were learned on another model.
        ModelFolderError: they are damaged.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return model
    load_file = require("safetensors.torch", "train").load_file
    try:
        said = Additions.model_validate(json.loads(path.read_text(encoding="utf-8")))
        tensors = load_file(folder / WEIGHTS)
        if said.weights_hash not in (None, weights_hash(folder)):
            raise InputError(_of_another_model(path))
        if said.kind == "prefix":
            if tensors["prefix"].shape != _prefix_shape(model.config, said.size):
                raise InputError(_of_another_model(path))
            return prefixed(model, tensors["prefix"])
        adapters = add_bottlenecks(model, said.placement, said.size)
        adapters.load_state_dict(tensors)
    except (ValidationError, ValueError, KeyError, OSError, RuntimeError) as error:
        raise ModelFolderError(f"{path} does not fit its weights or its model. Fine-tune again.") from error
    return model


def _prefix_shape(config: Any, size: int) -> tuple[int, int, int, int]:
    heads = config.num_attention_heads
    return 2 * config.num_hidden_layers, heads, size, config.hidden_size // heads


def _of_another_model(path: Path) -> str:
    return (
        f"{path} was learned on another backbone than the one beside it. Put it beside the weights that fine-tuning "
        "wrote with it, or fine-tune this backbone."
    )


def layers_of(model: Any) -> list[Any]:
    """The transformer's layers from the bottom to the top: the longest list of equal modules nearest to the root."""
    torch = require("torch", "train")
    lists = [
        (name.count("."), -len(module), module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len({type(one) for one in module}) == 1
    ]
    return list(min(lists, key=lambda entry: entry[:2])[2]) if lists else []


def add_bottlenecks(model: Any, placement: Placement, size: int) -> Any:
    """Put adapters into every layer, in place: x + U gelu(D x) behind a sub-layer's last matrix, before its residual.

    U starts at zero, so that nothing changes at first. ``houlsby``: behind attention and feed-forward (Houlsby et al.
    2019, arXiv:1902.00751); ``pfeiffer``: behind the feed-forward alone (Pfeiffer et al. 2020, arXiv:2005.00052).

    Args:
        model: of transformers.
        placement: where.
        size: width of D's output.

    Returns:
        The adapters as a ``ModuleList``, from the bottom to the top.

    Raises:
        ModelFolderError: the model's layers have no such matrices.
    """
    torch = require("torch", "train")

    class Adapter(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, width: int) -> None:
            super().__init__()
            self.down, self.up = torch.nn.Linear(width, size), torch.nn.Linear(size, width)
            torch.nn.init.zeros_(self.up.weight)
            torch.nn.init.zeros_(self.up.bias)

        def forward(self, x: Any) -> Any:
            return x + self.up(torch.nn.functional.gelu(self.down(x)))

    class Adapted(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inner: Any, adapter: Any) -> None:
            super().__init__()
            self.inner, self.adapter = inner, adapter

        def forward(self, x: Any) -> Any:
            return self.adapter(self.inner(x))

    adapters = torch.nn.ModuleList()
    for layer in layers_of(model):
        for parent, name, width in _sublayer_ends(layer, placement):
            adapters.append(Adapter(width))
            setattr(parent, name, Adapted(getattr(parent, name), adapters[-1]))
    if not len(adapters):
        raise ModelFolderError(
            f"Adapters have no place in a {type(model).__name__}: its layers' matrices are not known here. "
            "Choose another strategy, such as lora."
        )
    return adapters


def without_bottlenecks(model: Any) -> Any:
    """Take the adapters out again, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "Adapted":
                setattr(parent, name, child.inner)
    return model


def _sublayer_ends(layer: Any, placement: Placement) -> list[tuple[Any, str, int]]:
    """Parent, name and width of the matrices that end the sub-layers of one layer: attention's, then feed-forward's."""
    torch = require("torch", "train")
    conv = require("transformers.pytorch_utils", "train").Conv1D
    found = []
    for path, module in layer.named_modules():
        if isinstance(module, torch.nn.Linear):
            found.append((path, module.in_features, module.out_features))
        elif isinstance(module, conv):
            found.append((path, *module.weight.shape))
    narrowing = [entry for entry in found if entry[1] > entry[2]]
    if not narrowing:
        return []
    width = narrowing[-1][2]
    square = [entry for entry in found if entry[1] == entry[2] == width]
    ends = [*(square[-1:] if placement == "houlsby" else []), narrowing[-1]]
    out = []
    for path, _, _ in ends:
        parent, _, name = path.rpartition(".")
        out.append((layer.get_submodule(parent), name, width))
    return out


def prefixed(model: Any, prefix: Any) -> Any:
    """A model whose every layer attends to learned keys and values before the text (Li and Liang 2021).

    Args:
        model: of transformers; called as before.
        prefix: float32 (2 · layers, heads, n, head width): keys and values of a layer, one after the other.
    """
    torch = require("torch", "train")
    caches = require("transformers.cache_utils", "train")

    class Prefixed(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model, self.prefix = model, torch.nn.Parameter(prefix, requires_grad=False)

        def forward(self, input_ids: Any, attention_mask: Any, **options: Any) -> Any:
            before = attention_mask.new_ones(attention_mask.shape[0], self.prefix.shape[2])
            cache = caches.DynamicCache()
            for number in range(0, len(self.prefix), 2):
                layer = caches.DynamicLayer()  # filled by hand: its own start is an empty tensor, which no export takes
                rows = [
                    one.unsqueeze(0).expand(input_ids.shape[0], -1, -1, -1) for one in self.prefix[number : number + 2]
                ]
                layer.keys, layer.values = rows
                layer.dtype, layer.device, layer.is_initialized = rows[0].dtype, rows[0].device, True
                cache.layers.append(layer)
            mask = torch.cat([before, attention_mask], dim=1)
            return self.model(input_ids=input_ids, attention_mask=mask, past_key_values=cache, **options)

    return Prefixed()
