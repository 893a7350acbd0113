"""Categories that a tuned encoder was found to serve worse: they are not moved to it unless that is forced."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

from kuapin.durable import write_durably
from kuapin.encoding.backbone import Backbone
from kuapin.manifest import Route, read_routing
from kuapin.workspace import Shop

SERVED_WORSE = "served_worse.json"
"""Beside the weights of a tuned backbone: category → what was measured."""
UNMEASURED = "not compared: kuapin finetune was interrupted, and the same command goes on"
"""What is said of a category until it has been measured."""


def write_note(folder: Path, worse: Mapping[str, str]) -> None:
    """Write down beside a tuned backbone which categories may not move to it, and why; no file where there are none."""
    path = folder / SERVED_WORSE
    if worse:
        write_durably(path, (json.dumps(worse, indent=1, ensure_ascii=False) + "\n").encode())
    elif path.is_file():
        path.unlink()


def noted(folder: Path) -> dict[str, str]:
    """Category → why a backbone serves it worse; empty where nothing was found."""
    path = folder / SERVED_WORSE
    found: dict[str, str] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def lift(shop: Shop) -> None:
    """Hold nothing against the encoder that reads, nor against the one that a refresh tuned it from: somebody decided.

    A warning says of which categories.
    """
    folders = {Path(shop.config.encoding.backbone), shop.path / "backbones" / shop.named_backbone}
    names = sorted({name for folder in folders for name in noted(folder)})
    for folder in folders:
        write_note(folder, {})
    if names:
        warnings.warn(
            f"By --force nothing is held against the backbone {shop.named_backbone} any more, by which may be served "
            f"worse: {', '.join(names)}.",
            stacklevel=2,
        )


def held_back(shop: Shop, live: Path | None) -> dict[str, str]:
    """The categories that may not move to the encoder that the shop names, and why; not those that it serves already.

    Args:
        shop: whose configuration names the encoder.
        live: folder of the live release; ``None``: there is none.
    """
    encoding = shop.config.encoding
    worse = noted(Path(encoding.backbone))
    if not worse or live is None:
        return worse
    routing, new = read_routing(live), Backbone.resolve(encoding.backbone, encoding.chosen_pooling).weights_hash
    return {name: why for name, why in worse.items() if read_by(live, routing.of(name)) != new}


def read_by(release: Path, route: Route) -> str | None:
    """Hash of the weights of the language model that reads for a route of a release."""
    part = route.encoder
    said = json.loads((release / part / "encoder.json").read_text(encoding="utf-8")) if part is not None else {}
    return str(said["weights_hash"]) if "weights_hash" in said else None
