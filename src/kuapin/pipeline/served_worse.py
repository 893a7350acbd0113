"""Categories that a tuned encoder was found to serve worse: they are not moved to it unless that is forced."""

import json
from collections.abc import Iterable
from pathlib import Path

from kuapin.durable import write_durably
from kuapin.encoding.backbone import Backbone
from kuapin.manifest import Route, read_routing
from kuapin.pipeline.text_zero_shot import Opening
from kuapin.workspace import Shop

SERVED_WORSE = "served_worse.json"
"""Beside the weights of a tuned backbone: category → what was measured."""


def note_worse(folder: Path, openings: Iterable[Opening]) -> None:
    """Write down beside a tuned backbone which categories it serves worse than the one that it started from."""
    worse = {opening.category: opening.reason for opening in openings if opening.worse}
    if worse:
        write_durably(folder / SERVED_WORSE, (json.dumps(worse, indent=1, ensure_ascii=False) + "\n").encode())


def noted(folder: Path) -> dict[str, str]:
    """Category → why a backbone serves it worse; empty where nothing was found."""
    path = folder / SERVED_WORSE
    found: dict[str, str] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


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
