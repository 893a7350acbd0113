"""What of the log taught nothing, as ``shop/reports/suspects.json``: beside the releases, for it names people."""

import json
from typing import Any

from kuapin.durable import write_durably
from kuapin.workspace import Shop

NAME = "suspects.json"


def write_suspects(shop: Shop, named: dict[str, Any]) -> None:
    """Keep what ``Suspects.named`` says of the log that a release was made of, in place of what was said before."""
    write_durably(shop.reports / NAME, f"{json.dumps(named, indent=1, ensure_ascii=False)}\n".encode())


def read_suspects(shop: Shop) -> dict[str, Any]:
    """What was kept last."""
    found: dict[str, Any] = json.loads((shop.reports / NAME).read_text(encoding="utf-8"))
    return found
