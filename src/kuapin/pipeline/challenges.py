"""What was compared, and what came of it: one line a refresh, or an opening, in ``models/challenges.jsonl``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from kuapin.durable import write_durably
from kuapin.errors import ModelFolderError
from kuapin.evaluation.drift import Moved
from kuapin.evaluation.gate import Verdict

CHALLENGES = "challenges.jsonl"
"""In ``models/``; how often a champion was challenged is counted from it."""


def read_challenges(models: Path) -> list[dict[str, Any]]:
    """Those of refreshes, oldest first; a last line that a crash has torn is passed over.

    Raises:
        ModelFolderError: another line is damaged.
    """
    path = models / CHALLENGES
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    try:
        lines = [json.loads(line) for line in whole.decode().split("\n") if line.strip()]
        return [line for line in lines if "verdicts" in line]
    except ValueError as error:
        raise ModelFolderError(f"{path} is damaged ({error}). Restore it, or delete it to count afresh.") from error


def last_challenge(models: Path) -> dict[str, Any] | None:
    """The latest one; ``None`` where there is none, or where it cannot be read."""
    try:
        return next(reversed(read_challenges(models)), None)
    except ModelFolderError:
        return None


def refused_before(challenges: Sequence[Mapping[str, Any]], champion: str, asked: str) -> str | None:
    """When the gate last refused what is ``asked`` for once more; ``None``: something is different now."""
    same = [one for one in challenges if one["champion"] == champion and one.get("refused") == asked]
    return str(same[-1]["at"]) if same else None


def record_challenge(
    models: Path,
    champion: str,
    verdicts: Sequence[Verdict],
    served: Mapping[str, str],
    drift: Sequence[Moved],
    *,
    refused: str | None = None,
) -> None:
    """Write down that both were compared, before anything comes of it: a look was had, whatever ends the work.

    Args:
        models: folder of the releases.
        champion: the release that is live.
        verdicts: by category.
        served: category → the part that serves it, by what it consists of (``parts.identity``).
        drift: what moved since the champion was trained.
        refused: where nothing comes of it, what it depended on: as long as that stays, it need not be tried again.
    """
    line = {
        "verdicts": [
            {name: None if isinstance(v, float) and np.isnan(v) else v for name, v in asdict(verdict).items()}
            | {"served_by": served[verdict.category]}
            for verdict in verdicts
        ],
        "negative_transfer": [verdict.category for verdict in verdicts if verdict.decision == "loses"],
        "drift": {moved.part: round(moved.index, 4) for moved in drift},
        "refused": refused,
    }
    _record(models, champion, line)


def record_opening(models: Path, champion: str, category: str, lost: Sequence[JsonValue]) -> None:
    """Write down that a category opened, and against what ``transfer`` lost in its replays.

    Args:
        models: folder of the releases.
        champion: the release that was live before.
        category: that opened.
        lost: as ``onboarded.negative_transfer_json`` tells it.
    """
    _record(models, champion, {"opened": category, "negative_transfer": lost})


def _record(models: Path, champion: str, said: Mapping[str, Any]) -> None:
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "champion": champion, **said}
    path = models / CHALLENGES
    whole, mark, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")  # without a torn line
    write_durably(path, whole + mark + json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n")
