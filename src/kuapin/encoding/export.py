"""From a backbone to a graph that runs without torch: pooling and normalisation inside, quantised where asked."""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from rich import get_console

from kuapin.encoding import additions
from kuapin.encoding.additions import with_additions
from kuapin.encoding.backbone import Backbone, Pooling, weight_files
from kuapin.engines import onnx, openvino
from kuapin.engines.engine import EngineName, Inputs, Precision
from kuapin.extras import require

SMOOTH_QUANT_ALPHA = 0.8
EXPORT_VERSION = 2
"""Goes up whenever the same backbone would give another graph: old graphs and their vectors are then not reused."""


def sentence_module(folder: Path, pooling: Pooling, dense: Sequence[Path]) -> Any:
    """The backbone as a torch module: ``(input_ids, attention_mask)``, int64 (B, T), → unit vectors float32 (B, d)."""
    torch = require("torch", "train")
    transformers = require("transformers", "train")
    model = transformers.AutoModel.from_pretrained(
        folder, attn_implementation="sdpa", dtype=torch.float32, use_safetensors=True, local_files_only=True
    )
    model.config.use_cache = False  # a GPT's cache starts as an empty tensor, which no export takes
    model = with_additions(model, folder)
    projections = torch.nn.ModuleList([dense_layer(part) for part in dense])

    class SentenceModule(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model, self.projections = model, projections

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            pooled = read(torch, self.model, input_ids, attention_mask, pooling)  # (B, h), (B, 2 h)
            for projection in self.projections:
                pooled = projection(pooled)
            return torch.nn.functional.normalize(pooled, dim=-1)  # (B, d)

    return SentenceModule().eval()


def read(torch: Any, model: Any, input_ids: Any, mask: Any, pooling: Pooling) -> Any:
    """One vector a text by the backbone and the pooling, (B, h); (B, 2 h) where the pooling is ``ends``."""
    if pooling != "ends":
        return pool(torch, model(input_ids=input_ids, attention_mask=mask).last_hidden_state, mask, pooling)
    states = model(input_ids=input_ids, attention_mask=mask, output_hidden_states=True).hidden_states
    first, last = states[0][:, -mask.shape[1] :], states[-1]  # whatever stands before the text is none of it
    return torch.cat([pool(torch, first, mask, "mean"), pool(torch, last, mask, "mean")], dim=-1)


def pool(torch: Any, hidden: Any, mask: Any, pooling: Pooling) -> Any:
    """Token vectors (B, T, h) to one vector (B, h); padding is on the right."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        last = (mask.sum(dim=1) - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, hidden.shape[-1])
        return torch.gather(hidden, 1, last).squeeze(1)
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    if pooling == "max":
        return hidden.masked_fill(weight == 0, torch.finfo(hidden.dtype).min).amax(dim=1)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1e-9)


def dense_layer(folder: Path) -> Any:
    """One projection of a sentence-transformers folder: linear, then its activation."""
    torch = require("torch", "train")
    load_file = require("safetensors.torch", "train").load_file
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    linear = torch.nn.Linear(config["in_features"], config["out_features"], bias=config.get("bias", True))
    weights = {name.removeprefix("linear."): tensor for name, tensor in load_file(weight_files(folder)[0]).items()}
    linear.load_state_dict(weights)
    # Only the name of a known activation is taken from the file; nothing named there is imported
    activation = config.get("activation_function", "torch.nn.modules.activation.Tanh").rsplit(".", 1)[-1]
    allowed = {"Tanh": torch.nn.Tanh, "Identity": torch.nn.Identity, "ReLU": torch.nn.ReLU, "GELU": torch.nn.GELU}
    return torch.nn.Sequential(linear, allowed[activation]())


def export(
    backbone: Backbone, engine: EngineName, precision: Precision, folder: Path, calibration: Sequence[Inputs]
) -> None:
    """Write the files that an engine needs into a folder.

    Args:
        backbone: to export.
        engine: that will run it.
        precision: int8 quantises by the calibration batches; f32 and bf16 share one graph.
        folder: that receives them; it exists.
        calibration: tokenised texts, one a batch, used by int8 under OpenVINO only.

    Raises:
        MissingExtraError: torch, transformers, nncf or onnx is not installed.
    """
    with quietly():
        if engine == "torch":
            _copy_weights(backbone, folder)
        elif engine == "openvino":
            _export_openvino(backbone, precision, folder, calibration)
        else:
            _export_onnx(backbone, precision, folder)


class _Silence:
    """One for all threads: whoever comes first makes the libraries quiet, whoever goes last undoes it."""

    def __init__(self) -> None:
        self._lock, self._inside, self._undo = Lock(), 0, ExitStack()

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._undo.enter_context(_silent())
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._undo.close()


_SILENCE = _Silence()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the libraries' own progress bars and warnings about themselves off the terminal; errors still come."""
    _SILENCE.enter()
    try:
        yield
    finally:
        _SILENCE.leave()


@contextmanager
def _silent() -> Iterator[None]:
    transformers = require("transformers", "train").utils.logging
    console, bars = get_console(), transformers.is_progress_bar_enabled()
    quiet, console.quiet = console.quiet, True  # NNCF draws on Rich's global console, which Kuapin does not use
    levels = {name: logging.getLogger(name).level for name in ("transformers", "torch.onnx", "root")}
    transformers.disable_progress_bar()
    try:
        for name in levels:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        console.quiet = quiet
        if bars:
            transformers.enable_progress_bar()


def _export_openvino(backbone: Backbone, precision: Precision, folder: Path, calibration: Sequence[Inputs]) -> None:
    ov = openvino.openvino_without_telemetry()
    torch = require("torch", "train")
    ones = torch.ones(2, 8, dtype=torch.long)
    model = ov.convert_model(
        sentence_module(backbone.folder, backbone.pooling, backbone.dense),
        example_input={"input_ids": ones, "attention_mask": ones},
        input=[("input_ids", [-1, -1], ov.Type.i64), ("attention_mask", [-1, -1], ov.Type.i64)],
    )
    if precision == "int8":
        model = quantise(model, calibration)
    ov.save_model(model, folder / openvino.GRAPH, compress_to_fp16=False)


def quantise(model: Any, calibration: Sequence[Inputs]) -> Any:
    """Weights and activations of the matrix products as int8, after training (NNCF).

    The transformer scheme with SmoothQuant is what keeps the neighbours; without ``model_type`` they collapse. What
    NNCF's defaults lose on top is lost in the first layers' feed-forward outputs, whose inputs have the widest
    outliers, and in the embeddings, whose look-up is no product and gains nothing.

    Top-10 neighbours kept by MiniLM on 3,000 titles, and speed against float32 in processor time: NNCF's defaults
    .939 / 2.4; SmoothQuant alpha .8 and embeddings kept .948 / 2.4; the first two of six feed-forward outputs kept as
    well .958 / 2.5 (the rest in bfloat16); all six .965 / 2.1. Bias correction changed nothing and took a third of
    the time.
    """
    nncf = require("nncf", "train")
    # Its import sets another level; its own function for that changes the handlers of others as well
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf.quantize(
        model,
        nncf.Dataset(list(calibration)),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(calibration),
        ignored_scope=nncf.IgnoredScope(names=_outlier_products(model), types=["Gather"], validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            disable_bias_correction=True,
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=SMOOTH_QUANT_ALPHA),
        ),
    )


def _outlier_products(model: Any) -> list[str]:
    """Names of the feed-forward outputs of the first third of the layers: the products that narrow by half or more."""
    narrowing = []
    for operation in model.get_ordered_ops():
        if operation.get_type_name() != "MatMul":
            continue
        weight = operation.input_value(1)
        if weight.get_node().get_type_name() in ("Constant", "Convert") and weight.get_partial_shape().is_static:
            rows, columns = list(weight.get_shape())[-2:]
            width_out, width_in = (rows, columns) if operation.get_attributes()["transpose_b"] else (columns, rows)
            if width_in >= 2 * width_out:
                narrowing.append(operation.get_friendly_name())
    return narrowing[: max(1, len(narrowing) // 3)]


def _export_onnx(backbone: Backbone, precision: Precision, folder: Path) -> None:
    torch = require("torch", "train")
    require("onnxscript", "train")
    # Two tensors, not one twice: the exporter takes equal objects for one input
    ids, mask = torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
    batch, tokens = torch.export.Dim("batch", min=1), torch.export.Dim("tokens", min=1)
    graph = folder / onnx.GRAPH
    program = torch.onnx.export(
        sentence_module(backbone.folder, backbone.pooling, backbone.dense),
        (ids, mask),
        input_names=["input_ids", "attention_mask"],
        output_names=["vectors"],
        dynamic_shapes={"input_ids": {0: batch, 1: tokens}, "attention_mask": {0: batch, 1: tokens}},
        dynamo=True,
        verbose=False,
    )
    program.save(graph)
    if precision == "int8":
        quantisation = require("onnxruntime.quantization", "onnx")
        whole = folder / "whole.onnx"
        graph.replace(whole)
        quantisation.quantize_dynamic(str(whole), str(graph), weight_type=quantisation.QuantType.QInt8)
        whole.unlink()


def _copy_weights(backbone: Backbone, folder: Path) -> None:
    """What torch needs to run the backbone again, the tokenizer aside."""
    shutil.copy2(backbone.folder / "config.json", folder / "config.json")
    if (backbone.folder / additions.DESCRIPTION).is_file():
        shutil.copy2(backbone.folder / additions.DESCRIPTION, folder / additions.DESCRIPTION)
    for path in weight_files(backbone.folder):
        shutil.copy2(path, folder / path.name)
    for index in backbone.folder.glob("*.safetensors.index.json"):
        shutil.copy2(index, folder / index.name)
    for number, part in enumerate(backbone.dense):
        shutil.copytree(part, folder / f"dense_{number}")
