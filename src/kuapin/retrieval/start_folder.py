"""Another shop on the disk, as what a user model begins from."""

import json
from dataclasses import dataclass
from pathlib import Path

from kuapin.arrays import load_arrays
from kuapin.errors import InputError, KuapinError
from kuapin.manifest import MANIFEST, part_of, read_routing
from kuapin.model_folder import Releases
from kuapin.retrieval.whitening import load_whitening
from kuapin.sequence.compiled import UserModel
from kuapin.sequence.starting import Start

MODELS = "models"
SOURCE = "sources/sequence.safetensors"
"""In a part of a release: the user model."""
ENCODER = "encoder.json"


@dataclass(frozen=True)
class StartFolder:
    """A release of another shop, checked whole.

    Attributes:
        start: its user model.
        encoder: hash of the weights of the language model that reads its texts.
    """

    start: Start
    encoder: str


def open_start(path: Path) -> StartFolder:
    """The user model of another shop.

    Args:
        path: a shop, whose live release is taken, or one of its releases.

    Raises:
        InputError: there is no release, it is damaged, or it has no user model that another shop can begin from.
    """
    try:
        release = _release(path)
        routing = read_routing(release)
        part = release / part_of(routing.default)
        if not (part / SOURCE).is_file() or routing.default.encoder is None:
            raise InputError(
                "its ranker did without a user model. Name its source: [signals] sources, [live] pruned = false; then "
                "train it again"
            )
        model = UserModel.restore(load_arrays(part / SOURCE))
        start = Start.of(model, load_whitening(part).axes)
        encoder = json.loads((release / routing.default.encoder / ENCODER).read_text(encoding="utf-8"))["weights_hash"]
    except (KuapinError, OSError, ValueError, KeyError) as error:
        raise InputError(f"[sources.sequence] start = {str(path)!r}: {str(error).rstrip('.')}.") from error
    return StartFolder(start, str(encoder))


def _release(path: Path) -> Path:
    if (path / MANIFEST).is_file():
        Releases(path.parent).verify(path)
        return path
    if (path / MODELS).is_dir():
        return Releases(path / MODELS).open_live()
    raise InputError("this is neither a shop nor a release. Correct the path")
