"""What the gate said when two models were compared, in the form of the pages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kuapin.pipeline.challenges import read_challenges


@dataclass(frozen=True)
class Comparison:
    """One comparison of the live model with a new one.

    Attributes:
        at: when, ISO 8601.
        champion: the release that was live.
        verdicts: one a category, those with most users first; the fields of ``evaluation.gate.Verdict``.
        drift: part of the shop → population stability index; empty where an older Kuapin did not keep it.
    """

    at: str
    champion: str
    verdicts: list[dict[str, Any]]
    drift: dict[str, float]


def comparisons(models: Path) -> list[Comparison]:
    """Every comparison, oldest first.

    Raises:
        ModelFolderError: the file is damaged.
    """
    return [
        Comparison(
            one["at"], one["champion"], sorted(one["verdicts"], key=lambda v: -v["users"]), one.get("drift") or {}
        )
        for one in read_challenges(models)
    ]


def last_comparison(models: Path) -> Comparison | None:
    """The latest one."""
    return next(reversed(comparisons(models)), None)
