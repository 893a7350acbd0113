"""Reports on the disk, read back; and what of them is drawn."""

import json
import math
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kuapin.evaluation import verdict
from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.report import Comparison, Report
from kuapin.serving.console import charts

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
MOST_LINES = 4
KEPT = 64
"""Reports in memory, those that were written over included."""


@dataclass(frozen=True)
class Listed:
    """A report there is: its name, and when it was written, unix seconds."""

    name: str
    written: float


@dataclass(frozen=True)
class Launch:
    """A category that was opened in a replay, at all its shot levels."""

    title: str
    users: int
    outcomes: list[tuple[str, verdict.Outcome, Interval, str]]
    curve: charts.Curve


@dataclass(frozen=True)
class Judged:
    """A question, and how our method did beside the best simple one."""

    title: str
    question: str
    users: int
    outcome: str
    ratio: Interval
    baseline: str


def reports(folder: Path) -> list[Listed]:
    """The reports of a shop, the newest first."""
    found = [Listed(path.stem, path.stat().st_mtime) for path in folder.glob("*.json") if _is_report(path)]
    return sorted(found, key=lambda one: -one.written)


def read(folder: Path, name: str) -> Report | None:
    """One report; ``None`` where there is none of that name, or it is no report."""
    if not NAME.fullmatch(name):
        return None
    path = folder / f"{name}.json"
    try:
        return _read(path, path.stat().st_mtime)
    except OSError:
        return None


def judged(report: Report) -> list[Judged]:
    """Every question that has a verdict but the launches, in the report's order."""
    return [
        Judged(one.title, one.question, one.users, verdict.outcome(one), one.ratio, one.baseline)
        for one in report.comparisons
        if one.judged and one.protocol != "launch"
    ]


def before_and_after(report: Report) -> charts.Pairs | None:
    """The best simple method and our own, one row a question and category."""
    rows = [
        (one.title, _value(one, one.baseline), _value(one, one.model))
        for one in (*(c for c in report.comparisons if c.protocol != "launch" and c.judged), *report.categories[:12])
    ]
    return charts.pairs(rows) if rows else None


def launches(report: Report) -> list[Launch]:
    """Every replayed launch with its curve over the shot levels."""
    every = [one for one in report.comparisons if one.protocol == "launch"]
    found = []
    for title, group in groupby(sorted(every, key=lambda one: (one.title, one.shot or 0.0)), key=lambda c: c.title):
        shots = list(group)
        names = _best(shots)
        series = [(name, [_value(shot, name) for shot in shots]) for name in names]
        levels = [f"{100 * (shot.shot or 0):g}\N{NO-BREAK SPACE}%" for shot in shots]
        outcomes = [
            (level, verdict.outcome(shot), shot.ratio, shot.baseline) for level, shot in zip(levels, shots, strict=True)
        ]
        found.append(Launch(title, max(shot.users for shot in shots), outcomes, charts.curve(levels, series)))
    return found


def _best(shots: list[Comparison]) -> list[str]:
    """Our method, and the others that are best on average."""
    ours = shots[0].model
    quality: dict[str, float] = {}
    for shot in shots:
        for name in shot.results:
            one = _value(shot, name)
            if name != ours and one is not None and math.isfinite(one.value):
                quality[name] = quality.get(name, 0.0) + one.value
    return [ours, *sorted(quality, key=lambda name: -quality[name])[: MOST_LINES - 1]]


def _value(comparison: Comparison, name: str) -> Interval | None:
    return comparison.results.get(name, {}).get(comparison.metric)


def _is_report(path: Path) -> bool:
    return NAME.fullmatch(path.stem) is not None and read(path.parent, path.stem) is not None


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


@lru_cache(KEPT)
def _read(path: Path, _written: float) -> Report | None:
    try:
        text = path.read_text(encoding="utf-8")
        if '"comparisons"' not in text:
            return None
        return _adapter().validate_python(_with_nan(json.loads(text)))
    except (OSError, ValueError, ValidationError):
        return None


def _with_nan(value: Any) -> Any:
    """What JSON has no word for, where a figure is missing."""
    if isinstance(value, dict):
        figure = {"value", "low", "high"} == set(value)
        return {key: math.nan if figure and inner is None else _with_nan(inner) for key, inner in value.items()}
    return [_with_nan(one) for one in value] if isinstance(value, list) else value
