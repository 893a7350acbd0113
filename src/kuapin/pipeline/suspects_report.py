"""What of the log taught nothing, as ``shop/reports/suspects.json``: beside the releases, for it names people."""

import json
from typing import Any

from kuapin.data.sql.erasures import Erasures
from kuapin.data.sql.overlay import ServedTables
from kuapin.durable import write_durably
from kuapin.workspace import Shop

NAME = "suspects.json"


def write_suspects(shop: Shop, named: dict[str, Any]) -> dict[str, Any]:
    """Keep what ``Suspects.named`` says of the log that a release was made of, in place of what was said before.

    Nobody is named who was erased, be it since the log was read.

    Returns:
        What was kept.
    """
    store = shop.store
    erasures = Erasures(shop.path, store.database if isinstance(store, ServedTables) else None)
    while True:
        latest = erasures.latest()
        kept = {kind: _without_erased(said, erasures) for kind, said in named.items()}
        write_durably(shop.reports / NAME, f"{json.dumps(kept, indent=1, ensure_ascii=False)}\n".encode())
        if erasures.latest() == latest:
            return kept


def _without_erased(said: Any, erasures: Erasures) -> Any:
    if not isinstance(said, dict) or "users" not in said:
        return said
    erased = erasures.all()
    return said | {"users": [user for user in said["users"] if erasures.person(user) not in erased]}


def read_suspects(shop: Shop) -> dict[str, Any] | None:
    """What was kept last; ``None`` where somebody was erased since."""
    try:
        found: dict[str, Any] = json.loads((shop.reports / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found
