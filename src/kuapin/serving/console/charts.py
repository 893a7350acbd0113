"""Drawings of measured figures as plain numbers: where the marks of an SVG lie. The templates draw them.

The page's policy forbids styles inside of elements, so that colours come from classes of the style sheet; no drawing
library is needed for a line and a dot, and none is installed where a shop is served.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kuapin.evaluation.bootstrap import Interval

WIDTH = 640
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 34
ROW = 34
HEIGHT = 240
MOST_LABEL = 26


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, in the drawing's own units, and what is written there."""

    at: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A value and its interval, in the drawing's own units.

    Attributes:
        x: of the value.
        y: of the value.
        low: end of the interval along the axis of values; the value where there is none.
        high: the other end.
        told: the figures in words.
    """

    x: float
    y: float
    low: float
    high: float
    told: str


@dataclass(frozen=True)
class Pair:
    """A row of a before-and-after drawing."""

    label: str
    y: float
    before: Mark | None
    after: Mark | None


@dataclass(frozen=True)
class Pairs:
    """Before and after, one row each; values run to the right."""

    rows: list[Pair]
    ticks: list[Tick]
    width: int
    height: int
    left: int


@dataclass(frozen=True)
class Line:
    """A series of a curve: its marks, from left to right, and the way through them."""

    name: str
    marks: list[Mark]

    @property
    def path(self) -> str:
        """For ``points`` of a polyline."""
        return " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in self.marks)


@dataclass(frozen=True)
class Curve:
    """Values over a few named steps; values run upwards."""

    lines: list[Line]
    across: list[Tick]
    up: list[Tick]
    width: int
    height: int
    left: int


def pairs(rows: Sequence[tuple[str, Interval | None, Interval | None]], *, label_width: int = 210) -> Pairs:
    """A before-and-after drawing.

    Args:
        rows: label, value before, value after; ``None`` where it was not measured.
        label_width: room for the labels.
    """
    ends = [one.high if math.isfinite(one.high) else one.value for _, *both in rows for one in both if one]
    steps = _steps(max(ends, default=1.0))
    room = WIDTH - label_width - RIGHT

    def across(value: float) -> float:
        return label_width + room * value / steps[-1]

    def mark(one: Interval | None, y: float) -> Mark | None:
        if one is None or not math.isfinite(one.value):
            return None
        low, high = (end if math.isfinite(end) else one.value for end in (one.low, one.high))
        return Mark(across(one.value), y, across(max(low, 0.0)), across(high), _told(one))

    drawn = []
    for number, (label, before, after) in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        drawn.append(Pair(_clip(label), y, mark(before, y - 4), mark(after, y + 4)))
    ticks = [Tick(across(step), f"{step:g}") for step in steps]
    return Pairs(drawn, ticks, WIDTH, TOP + ROW * len(rows) + BOTTOM, label_width)


def curve(steps: Sequence[str], series: Sequence[tuple[str, Sequence[Interval | None]]]) -> Curve:
    """Values over steps, one line a series.

    Args:
        steps: labels of the steps, evenly spaced.
        series: name and one value a step; ``None`` where it was not measured.
    """
    known = [one for _, values in series for one in values if one is not None and math.isfinite(one.value)]
    ends = [one.high if math.isfinite(one.high) else one.value for one in known]
    values = _steps(max(ends, default=1.0))
    room, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    gap = room / len(steps) if steps else room

    def up(value: float) -> float:
        return TOP + tall * (1 - value / values[-1])

    lines = []
    for place, (name, found) in enumerate(series):
        shift = (place - (len(series) - 1) / 2) * 7
        marks = []
        for step, one in enumerate(found):
            if one is None or not math.isfinite(one.value):
                continue
            low, high = (end if math.isfinite(end) else one.value for end in (one.low, one.high))
            x = LEFT + gap * (step + 0.5) + shift
            marks.append(Mark(x, up(one.value), up(max(low, 0.0)), up(high), f"{name}, {steps[step]}: {_told(one)}"))
        lines.append(Line(name, marks))
    across = [Tick(LEFT + gap * (step + 0.5), label) for step, label in enumerate(steps)]
    return Curve(lines, across, [Tick(up(value), f"{value:g}") for value in values], WIDTH, HEIGHT, LEFT)


@dataclass(frozen=True)
class Span:
    """A difference and its interval on an axis with 0 in the middle."""

    mark: Mark
    zero: float
    ticks: list[Tick]
    width: int
    height: int


def span(difference: Interval) -> Span:
    """A difference of shares, drawn in points of a hundred."""
    widest = 100 * max(abs(difference.low), abs(difference.high), abs(difference.value))
    end = _steps(widest)[-1]

    def across(points: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (points / end + 1) / 2

    low, value, high = (across(100 * one) for one in (difference.low, difference.value, difference.high))
    ticks = [Tick(across(points), f"{points:+g}" if points else "0") for points in (-end, 0.0, end)]
    return Span(Mark(value, 24, low, high, f"{100 * difference.value:+.2f}"), across(0.0), ticks, WIDTH, 70)


def _steps(highest: float) -> list[float]:
    """Round figures from 0 to just above the highest value, three to six of them."""
    if not highest > 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(power * part for part in (0.2, 0.5, 1.0, 2.0, 5.0) if highest / (power * part) <= 5)
    return [round(step * number, 10) for number in range(math.ceil(highest / step - 1e-9) + 1)]


def _told(one: Interval) -> str:
    if not (math.isfinite(one.low) and math.isfinite(one.high)) or one.low == one.high:
        return f"{one.value:.4f}"
    return f"{one.value:.4f} ({one.low:.4f} – {one.high:.4f})"


def _clip(text: str) -> str:
    return text if len(text) <= MOST_LABEL else text[: MOST_LABEL - 1].rstrip() + "…"
