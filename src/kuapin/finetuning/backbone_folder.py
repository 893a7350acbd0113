"""A fine-tuned backbone as a folder of its own, which ``encoding.backbone`` reads like any other."""

import json
from pathlib import Path

from kuapin.encoding import additions
from kuapin.encoding.additions import Additions
from kuapin.encoding.backbone import Backbone
from kuapin.encoding.export import quietly
from kuapin.extras import require
from kuapin.finetuning.reader import Reader, Tensor
from kuapin.finetuning.strategy import Strategy
from kuapin.finetuning.tokens import Tokens

_SENTENCE = "sentence_transformers"
_POOLING = {"mean": "mean", "cls": "cls", "last": "lasttoken", "max": "max", "ends": "ends"}


def write_backbone(folder: Path, reader: Reader, strategy: Strategy, backbone: Backbone, tokens: Tokens) -> None:
    """Write weights, description, tokenizer, pooling and projections.

    Args:
        folder: to write into.
        reader: as trained.
        strategy: folds its change into the weights.
        backbone: where training started: its prefix, pooling and longest text stay.
        tokens: its tokenizer.
    """
    with quietly():
        strategy.merged(reader).save_pretrained(folder)
        tokens.tokenizer.save_pretrained(folder)
    _write_additions(folder, strategy.additions(reader))
    _write_modules(folder, reader, backbone)


def _write_additions(folder: Path, added: tuple[Additions, dict[str, Tensor]] | None) -> None:
    if added is not None:
        said, tensors = added
        said = said.model_copy(update={"weights_hash": additions.weights_hash(folder)})
        require("safetensors.torch", "train").save_file(tensors, folder / additions.WEIGHTS)
        _write(folder / additions.DESCRIPTION, said.model_dump(mode="json"))


def _write_modules(folder: Path, reader: Reader, backbone: Backbone) -> None:
    """What stands behind the transformer, in the form of sentence-transformers, which reads the folder too."""
    files = require("safetensors.torch", "train")
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    _write(folder / "1_Pooling" / "config.json", {
        "word_embedding_dimension": reader.pooled_width, "pooling_mode": _POOLING[backbone.pooling],
    })  # fmt: skip
    for number, projection in enumerate(reader.projections, start=2):
        linear, activation = projection
        part = folder / f"{number}_Dense"
        kinds.append((part.name, "Dense"))
        _write(part / "config.json", {
            "in_features": linear.in_features,
            "out_features": linear.out_features,
            "bias": linear.bias is not None,
            "activation_function": f"{type(activation).__module__}.{type(activation).__name__}",
        })  # fmt: skip
        tensors = {f"linear.{name}": tensor.contiguous() for name, tensor in linear.state_dict().items()}
        files.save_file(tensors, part / "model.safetensors")
    kinds.append((f"{len(kinds)}_Normalize", "Normalize"))
    (folder / kinds[-1][0]).mkdir()
    modules = [
        {"idx": idx, "name": str(idx), "path": path, "type": f"{_SENTENCE}.models.{kind}"}
        for idx, (path, kind) in enumerate(kinds)
    ]
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": backbone.max_length, "do_lower_case": False})
    if backbone.prefix:
        _write(folder / "config_sentence_transformers.json", {"prompts": {"passage": backbone.prefix}})


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
