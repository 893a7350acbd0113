"""Text in, unit vector out, by a compiled language model that needs no torch."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from kuapin.encoding.backbone import Backbone
from kuapin.encoding.calibration import calibration_sample
from kuapin.encoding.choice import Choice, choose
from kuapin.encoding.export import EXPORT_VERSION, export, sentence_module
from kuapin.encoding.settings import Description, EncodingConfig
from kuapin.encoding.tokens import TokenBatches, write_tokenizer
from kuapin.engines import onnx, openvino
from kuapin.engines.engine import Engine
from kuapin.engines.onnx import ONNXEngine
from kuapin.engines.openvino import OpenVINOEngine
from kuapin.engines.torch import TorchEngine
from kuapin.errors import ModelFolderError
from kuapin.progress import SILENT, Progress, Step

DESCRIPTION = "encoder.json"
TOKENIZER = "tokenizer.json"
WINDOW = 8192
"""Texts tokenised and sorted at once; bounds the memory of a large catalogue."""

Vectors = NDArray[np.float32]


class Encoder:
    """A compiled encoder in a folder; the graph is read on first use.

    Args:
        folder: as ``compile_encoder`` writes it.
        token_budget: tokens encoded at once.
        threads: of the processor; ``None``: all.

    Raises:
        ModelFolderError: the folder is no whole encoder.
    """

    def __init__(self, folder: Path, token_budget: int = 1024, threads: int | None = None) -> None:
        self.folder = folder
        self.description = _read_description(folder)
        self._token_budget = token_budget
        self._threads = threads
        self._engine: Engine | None = None
        self._tokens: TokenBatches | None = None

    @classmethod
    def open(
        cls, config: EncodingConfig, folder: Path, calibration_texts: Sequence[str], progress: Progress = SILENT
    ) -> "Encoder":
        """The encoder that a configuration stands for: compiled at first, reused from then on.

        Args:
            config: which backbone, engine and precision.
            folder: keeps compiled encoders, one folder each.
            calibration_texts: the shop's own texts (masked); int8 is calibrated on a sample of them.
            progress: told while compiling.

        Raises:
            InputError: the backbone does not exist or lacks a part.
            MissingExtraError: compiling needs the train extra.
        """
        backbone = Backbone.resolve(config.backbone, config.chosen_pooling)
        choice = choose(config.engine, config.precision, len(set(calibration_texts)))
        max_length = min(config.max_length or backbone.max_length, backbone.max_length)
        key = [backbone.weights_hash, choice.engine, choice.precision, max_length, EXPORT_VERSION]
        target = folder / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
        if not (target / DESCRIPTION).is_file():
            with progress.step(f"Compiling the encoder ({choice.reason})"):
                compile_encoder(backbone, choice, max_length, calibration_texts, target)
        return cls(target, config.token_budget, config.threads)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.description.dimension

    @property
    def fingerprint(self) -> str:
        """What the vectors depend on, the text aside: weights, calibration, engine, precision, longest text."""
        said = self.description
        parts = [said.weights_hash, said.graph_hash, said.engine, said.precision, said.max_length, said.prefix]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def encode(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        """Vectors of many texts, in their order: float32 (n, d), each of unit length.

        Equal texts are encoded once. An empty text has a vector too (that of no words).
        """
        place = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        unique = np.empty((len(place), self.dimension), np.float32)
        distinct = list(place)
        with progress.step("Encoding texts", len(distinct), "texts") as step:
            for start in range(0, len(distinct), WINDOW):
                self._encode_window(distinct[start : start + WINDOW], unique[start : start + WINDOW], step)
        return unique if len(distinct) == len(texts) else unique[[place[text] for text in texts]]

    def _encode_window(self, texts: list[str], out: Vectors, step: Step) -> None:
        tokens, engine = self._opened()
        prefix = self.description.prefix
        prefixed = [prefix + text for text in texts] if prefix else texts
        for batch in tokens.batches(prefixed, self._token_budget):
            out[batch.rows] = engine.run(batch.inputs)
            step.advance(len(batch.rows))

    def _opened(self) -> tuple[TokenBatches, Engine]:
        if self._tokens is None or self._engine is None:
            said = self.description
            self._tokens = TokenBatches(self.folder / TOKENIZER, said.max_length, said.pad_id)
            self._engine = open_engine(self.folder, said, self._threads)
        return self._tokens, self._engine

    def save(self, folder: Path) -> None:
        """Copy the compiled encoder into an empty or absent folder, for a release; ``Encoder(folder)`` opens it."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)


def open_engine(folder: Path, description: Description, threads: int | None = None) -> Engine:
    """The engine of a compiled encoder, its graph read."""
    if description.engine == "openvino":
        return OpenVINOEngine(folder / openvino.GRAPH, description.precision, threads)
    if description.engine == "onnx":
        return ONNXEngine(folder / onnx.GRAPH, description.precision, threads)
    projections = [folder / f"dense_{number}" for number in range(description.projections)]
    return TorchEngine(sentence_module(folder, description.pooling, projections), description.precision)


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
    partial = folder.with_name(f".{folder.name}.partial")
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
            graph_hash=_hash_folder(partial),
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
        description = description.model_copy(update={"dimension": dimension})
        (partial / DESCRIPTION).write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _hash_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _read_description(folder: Path) -> Description:
    path = folder / DESCRIPTION
    try:
        return Description.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelFolderError(
            f"{folder}: there is no {DESCRIPTION}, so this is no encoder. Run the step again."
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise ModelFolderError(
            f"{path}: this is not an encoder's description. Delete the folder {folder} and run the step again."
        ) from error
