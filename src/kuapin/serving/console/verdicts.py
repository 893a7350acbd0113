"""What the gate said when two models were compared, as ``models/challenges.jsonl`` keeps it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "challenges.jsonl"


@dataclass(frozen=True)
class Comparison:
    """One comparison of the live model with a new one.

    Attributes:
        at: when, ISO 8601.
        champion: the release that was live.
        verdicts: one a category, those with most users first; the fields of ``evaluation.gate.Verdict``.
        drift: part of the shop → population stability index; empty where it was not kept.
    """

    at: str
    champion: str
    verdicts: list[dict[str, Any]]
    drift: dict[str, float]


def comparisons(models: Path) -> list[Comparison]:
    """Every comparison, oldest first; a torn last line, and what an older Kuapin did not keep, is left out."""
    path = models / FILE
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            said = json.loads(line)
            verdicts = sorted(said["verdicts"], key=lambda one: -one["users"])
            found.append(Comparison(said["at"], said["champion"], verdicts, dict(said.get("drift") or {})))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def last_comparison(models: Path) -> Comparison | None:
    """The latest one."""
    found = comparisons(models)
    return found[-1] if found else None
