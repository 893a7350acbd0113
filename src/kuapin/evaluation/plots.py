"""The report's figures: SVG for the inside of a page, in its colours and its fonts, light and dark.

matplotlib draws with stand-in colours, which become the page's CSS variables (``--ink``, ``--s0`` …), so that one SVG
follows the reader's colour scheme. Series differ in marker and line as well as in colour.
"""

import functools
import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, ParamSpec

from kuapin.evaluation.bootstrap import Interval
from kuapin.extras import require

P = ParamSpec("P")
Series = Mapping[str, Sequence[Interval | None]]
"""Name → one value a row or tick; ``None`` where it was not measured."""

SERIES = 6
"""How many series a figure tells apart at most; the page's CSS has as many colours."""

_INK, _MUTED, _RULE = "#0a0a01", "#0a0a02", "#0a0a03"
_COLOURS = [f"#0b0b{index:02x}" for index in range(SERIES)]
_VARIABLES = {_INK: "--ink", _MUTED: "--muted", _RULE: "--rule"} | {c: f"--s{i}" for i, c in enumerate(_COLOURS)}
_MARKERS = ("o", "s", "D", "^", "v", "P")
_LINES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1.5)), (0, (8, 3)))
_WIDTH = 5.6  # inches; the page shows 5.6 in as at most 44 rem, so 8.5 pt read as 14 px
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 8.5,
    "text.color": _INK,
    "axes.labelcolor": _MUTED,
    "axes.edgecolor": _RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "axes.axisbelow": True,
    "xtick.color": _RULE,
    "xtick.labelcolor": _INK,
    "ytick.color": _RULE,
    "ytick.labelcolor": _INK,
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "patch.linewidth": 0,
}


def _styled(draw: Callable[P, str]) -> Callable[P, str]:
    """Draw in this module's style, whatever the process has set, and leave its settings as they were."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> str:
        with require("matplotlib.style", "report").context(["default", _STYLE]):
            return draw(*args, **kwargs)

    return drawn


@_styled
def dots(rows: Sequence[str], series: Series, slots: Mapping[str, int], *, x_label: str, name: str, alt: str) -> str:
    """One line a row, one marker with its interval a series: quality per category, shares per category.

    Args:
        rows: labels, from top to bottom.
        series: name → one value a row (``None``: not measured).
        slots: name → which of the :data:`SERIES` looks it has, the same in all figures of a page.
        x_label: what the x axis shows, with its unit.
        name: unique on the page; goes into the ids of the SVG.
        alt: what the figure shows, for those who do not see it.
    """
    figure = _figure(0.75 + 0.34 * len(rows) + 0.2 * _legend_lines(list(series)))
    axes = figure.add_subplot()
    spread = 0.52 / max(len(series) - 1, 1)
    for index, (label, values) in enumerate(series.items()):
        known = [(row, value) for row, value in enumerate(values) if value is not None]
        heights = [row + (index - (len(series) - 1) / 2) * spread for row, _ in known]
        for height, (_, value) in zip(heights, known, strict=True):
            axes.plot([value.low, value.high], [height, height], color=_COLOURS[slots[label]], linewidth=1.1)
        axes.plot([value.value for _, value in known], heights, label=label, linestyle="", **_marker(slots[label]))
    axes.set_yticks(range(len(rows)), [_clip(row, 30) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, pad=8)
    for border in range(1, len(rows)):
        axes.axhline(border - 0.5, color=_RULE, linewidth=0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel(x_label)
    axes.grid(axis="x")
    _legend(figure, axes, list(series))
    return _svg(figure, name, alt)


@_styled
def curves(
    panels: Mapping[str, Series],
    slots: Mapping[str, int],
    ticks: Sequence[str],
    *,
    x_label: str,
    y_label: str,
    name: str,
    alt: str,
) -> str:
    """One panel a launch: quality over the shot levels, with intervals.

    Args:
        panels: title → series → one value a tick; the same series, in the same order, in each.
        slots: name → which of the :data:`SERIES` looks it has.
        ticks: labels of the shot levels, evenly spaced.
        x_label: what the ticks are, with their unit.
        y_label: what the y axis shows, with its unit.
        name: unique on the page.
        alt: what the figure shows, in words.
    """
    across = min(len(panels), 2)
    down = -(-len(panels) // across)
    series = next(iter(panels.values()))
    figure = _figure((2.3 if across == 2 else 2.8) * down + 0.2 * _legend_lines(list(series)))
    for place, (title, lines) in enumerate(panels.items()):
        axes = figure.add_subplot(down, across, place + 1)
        for index, (label, values) in enumerate(lines.items()):
            shift = (index - (len(lines) - 1) / 2) * 0.05
            known = [(tick + shift, value) for tick, value in enumerate(values) if value is not None]
            for x, value in known:
                axes.plot([x, x], [value.low, value.high], color=_COLOURS[slots[label]], linewidth=1.1)
            axes.plot(
                [x for x, _ in known],
                [value.value for _, value in known],
                label=label,
                linestyle=_LINES[slots[label]],
                linewidth=1.8 if slots[label] == 0 else 1.1,
                **_marker(slots[label]),
            )
        axes.set_title(_clip(title, 34))
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set_xlim(-0.3, len(ticks) - 0.7)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        if place % across == 0:
            axes.set_ylabel(y_label)
    figure.supxlabel(x_label, fontsize=_STYLE["font.size"], color=_MUTED)
    _legend(figure, figure.axes[0], list(series))
    return _svg(figure, name, alt)


@_styled
def paths(
    labels: Sequence[str],
    across: Mapping[str, Sequence[Interval]],
    up: Sequence[Interval],
    *,
    y_label: str,
    name: str,
    alt: str,
) -> str:
    """Labelled points joined in their order, each with its interval in both directions: trade-offs, two panels a row.

    Args:
        labels: of the points.
        across: what the x axis of each panel shows, with its unit → where the points lie on it.
        up: where they lie on the y axis, which all panels share.
        y_label: what the y axis shows, with its unit.
        name: unique on the page.
        alt: what the figure shows, in words.
    """
    rows = (len(across) + 1) // 2
    figure = _figure(0.3 + 2.3 * rows)
    panels = figure.subplots(rows, min(len(across), 2), sharey=True, squeeze=False)
    y = [one.value for one in up]
    for place, (axes, (x_label, points)) in enumerate(zip(panels.flat, across.items(), strict=False)):
        x = [one.value for one in points]
        for one, other, *at in zip(points, up, x, y, strict=True):
            axes.plot([one.low, one.high], [at[1]] * 2, color=_RULE, linewidth=1.1)
            axes.plot([at[0]] * 2, [other.low, other.high], color=_RULE, linewidth=1.1)
        axes.plot(x, y, linewidth=1.1, **_marker(0))
        for number, (label, *at) in enumerate(zip(labels, x, y, strict=True)):  # neighbours above and below the line
            aside = (0, -13 if number % 2 else 6)
            axes.annotate(label, at, xytext=aside, textcoords="offset points", ha="center", fontsize=7.5)
        axes.set_xlabel(x_label)
        axes.set_ylabel("" if place % 2 else y_label)
        axes.grid()
    panels[0, 0].set_ylim(0, 1.1 * max(one.high for one in up))
    for axes in panels.flat[len(across) :]:
        axes.set_visible(False)
    return _svg(figure, name, alt)


@_styled
def bars(
    values: Mapping[str, float], labels: Sequence[str], *, ours: str | None = None, x_label: str, name: str, alt: str
) -> str:
    """One horizontal bar a row, each with its value written out: coverage, seconds.

    Args:
        values: row label → length, from top to bottom.
        labels: the value of each row as it is written.
        ours: the row that stands out; ``None``: all are alike.
        x_label: what the x axis shows, with its unit.
        name: unique on the page.
        alt: what the figure shows, in words.
    """
    figure = _figure(0.6 + 0.27 * len(values))
    axes = figure.add_subplot()
    colours = [_COLOURS[0] if ours in (None, row) else _COLOURS[-1] for row in values]
    axes.barh(range(len(values)), list(values.values()), height=0.62, color=colours)
    for row, (value, label) in enumerate(zip(values.values(), labels, strict=True)):
        axes.annotate(label, (value, row), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(values)), [_clip(row, 34) for row in values])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, max(values.values(), default=0) * 1.16 or 1)
    axes.set_xlabel(x_label)
    return _svg(figure, name, alt)


def _figure(height: float) -> Any:
    return require("matplotlib.figure", "report").Figure(figsize=(_WIDTH, height), layout="constrained")


def _marker(slot: int) -> dict[str, Any]:
    size = 6.5 if slot == 0 else 5
    look = {"marker": _MARKERS[slot], "markersize": size, "color": _COLOURS[slot], "markeredgewidth": 0}
    return look | {"clip_on": False, "zorder": 3}


def _legend_columns(names: Sequence[str]) -> int:
    return len(names) if sum(len(_clip(name, 26)) + 6 for name in names) < 72 else min(len(names), 3)


def _legend_lines(names: Sequence[str]) -> int:
    return -(-len(names) // max(_legend_columns(names), 1))


def _legend(figure: Any, axes: Any, names: Sequence[str]) -> None:
    handles, labels = axes.get_legend_handles_labels()
    shown = [_clip(label, 26) for label in labels]
    figure.legend(
        handles, shown, loc="outside upper left", ncols=_legend_columns(names), borderaxespad=0.2, columnspacing=1.4
    )


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _svg(figure: Any, name: str, alt: str) -> str:
    """The figure as an ``<svg>`` element in the page's colours and fonts, with ids of its own."""
    buffer = io.StringIO()
    with require("matplotlib", "report").rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font-family: [^;\"]*(; )?", "", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)
