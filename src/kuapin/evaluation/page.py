"""The report as one HTML page: no network, no scripts, fonts of the reader's own machine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import jinja2

from kuapin.counts import counted
from kuapin.evaluation import plots, wording
from kuapin.evaluation.bootstrap import RESAMPLES, Interval
from kuapin.evaluation.report import Comparison, Report, Trade
from kuapin.evaluation.verdict import findings, headline

MOST_CATEGORIES = 12
MOST_SERIES = 4
MOST_METRICS = 5
FIRST_METRICS = ("ndcg", "hit_rate", "recall", "coverage", "category_entropy", "mrr", "precision", "novelty")
VARIETY = ("category_entropy@10", "intra_list_distance@10", "coverage@10", "novelty@10")
"""What the dial buys with accuracy, a panel each."""


@dataclass(frozen=True)
class Cell:
    """One figure of a table: the value, and its interval in small print."""

    text: str
    ends: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a table; ``kind`` is ``model``, ``best`` (baseline), ``ratio`` or empty."""

    head: str
    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table with heads; ``caption`` says what it shows."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption and the numbers behind it."""

    svg: str
    caption: str
    numbers: Table


def render(report: Report) -> str:
    """The whole page as HTML.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page: str = environment.get_template("report.html.jinja").render(
        report=report,
        css=(here / "report.css").read_text(encoding="utf-8"),
        headline=headline(report),
        findings=findings(report),
        questions=[(c.title, *_question(report, c)) for c in report.comparisons if c.protocol != "launch"],
        launches=[(shots[0].title, _launch(shots)) for shots in _launches(report)],
        per_category=_per_category(report),
        slices=_slices(report),
        shot_curve=_shot_curve(report),
        coverage=_coverage(report),
        mix=_mix(report),
        trade=_trade(report),
        exposure=_exposure(report),
        time=_time(report),
        metrics=[(wording.label(m), wording.meaning(m)) for m in sorted(_metrics(report), key=_importance)],
        resamples=RESAMPLES,
    )
    return page


def _question(report: Report, comparison: Comparison) -> tuple[Table, Table | None]:
    """The table with the metrics that matter most, and where there are more, one with all of them."""
    measured = [m for m in _metrics(report) if any(m in result for result in comparison.results.values())]
    chosen = sorted(measured, key=lambda m: (m != comparison.metric, _importance(m)))[:MOST_METRICS]
    ratio = comparison.ratio
    note = (
        f"{comparison.model} to {comparison.baseline}: {wording.times(ratio.value)} in "
        f"{wording.label(comparison.metric)} (95{wording.NBSP}% interval {wording.factor_ends(ratio)})."
    )
    known = note if comparison.judged and not math.isnan(ratio.value) else ""
    table = Table(_caption(comparison), _heads(chosen), _method_rows(comparison, chosen), known)
    if len(chosen) == len(measured):
        return table, None
    return table, Table(f"{comparison.title}: all metrics", _heads(measured), _method_rows(comparison, measured))


def _heads(metrics: Sequence[str]) -> tuple[str, ...]:
    return ("Method", *map(wording.label, metrics))


def _method_rows(comparison: Comparison, metrics: Sequence[str]) -> tuple[Row, ...]:
    return tuple(
        Row(name, tuple(_cell(comparison, name, metric) for metric in metrics), _kind(name, comparison))
        for name in _by_quality(comparison)
    )


def _importance(metric: str) -> int:
    name = metric.partition("@")[0]
    return FIRST_METRICS.index(name) if name in FIRST_METRICS else len(FIRST_METRICS)


def _launch(shots: Sequence[Comparison]) -> Table:
    names = dict.fromkeys(name for comparison in reversed(shots) for name in _by_quality(comparison))
    rows = [
        Row(name, tuple(_cell(c, name, c.metric) for c in shots), "model" if name == shots[0].model else "")
        for name in names
    ]
    ratios = tuple(
        Cell(wording.times(c.ratio.value), f"{wording.factor_ends(c.ratio)}, to {c.baseline}") for c in shots
    )
    rows.append(Row(f"{shots[0].model} to the best simple method", ratios, "ratio"))
    heads = ("Method", *(_shot(comparison) for comparison in shots))
    return Table(f"{_caption(shots[-1])} {wording.label(shots[0].metric)}.", heads, tuple(rows))


def _per_category(report: Report) -> Figure | None:
    chosen = sorted(report.categories, key=lambda c: -c.users)[:MOST_CATEGORIES]
    if not chosen:
        return None
    metric = chosen[0].metric
    names = _series(report, chosen)
    series = {name: [_estimate(c, name) for c in chosen] for name in names}
    left_out = len(report.categories) - len(chosen)
    caption = (
        f"{wording.label(metric)} in each category against the best simple methods, with 95{wording.NBSP}% intervals. "
        "Further right is better."
    )
    if left_out:
        caption += f" The {len(chosen)} categories with the most users; "
        caption += f"{counted(left_out, 'smaller one is', 'smaller ones are')} in the JSON file."
    rows = tuple(Row(c.title, (Cell(f"{c.users:,}"), *(_cell(c, name, metric) for name in names))) for c in chosen)
    svg = plots.dots(
        [c.title for c in chosen],
        series,
        _slots(report),
        x_label=wording.label(metric),
        name="category",
        alt=_alt(caption, chosen),
    )
    return Figure(svg, caption, Table("Quality per category", ("Category", "Users", *names), rows))


def _slices(report: Report) -> Table | None:
    """Ours and the best baselines on each part of the main question."""
    if not report.slices:
        return None
    names, metric = _series(report, report.slices), report.slices[0].metric
    rows = tuple(
        Row(
            c.title,
            (
                Cell(f"{c.users:,}"),
                *(_cell(c, name, metric) for name in names),
                Cell(wording.times(c.ratio.value), wording.factor_ends(c.ratio)),
            ),
        )
        for c in report.slices
    )
    heads = ("Part", "Users", *names, "to the best")
    caption = f"{wording.label(metric)} by part; the last column is {names[0]} to the best simple method."
    return Table(caption, heads, rows)


def _shot_curve(report: Report) -> Figure | None:
    launches = [shots for shots in _launches(report) if len(shots) > 1]
    if not launches:
        return None
    names = _launch_series(report, [comparison for shots in launches for comparison in shots])
    levels = sorted({c.shot or 0.0 for shots in launches for c in shots})
    metric = launches[0][0].metric
    panels = {}
    for shots in launches:
        at = {c.shot or 0.0: c for c in shots}
        panels[shots[0].title] = {
            name: [_estimate(at[level], name) if level in at else None for level in levels] for name in names
        }
    caption = (
        f"{wording.label(metric)} in a category that has just opened, from no purchase seen to those of all training "
        f"users, with 95{wording.NBSP}% intervals. Higher is better."
    )
    rows = tuple(
        Row(f"{c.title}, {_shot(c)}", tuple(_cell(c, name, metric) for name in names)) for s in launches for c in s
    )
    alt = _alt(caption, [c for shots in launches for c in shots])
    svg = plots.curves(
        panels,
        _slots(report),
        [wording.percent(level) for level in levels],
        x_label="share of the training users of the category whose interactions in it are seen",
        y_label=wording.label(metric),
        name="shots",
        alt=alt,
    )
    return Figure(svg, caption, Table("Quality at each shot level", ("Launch", *names), rows))


def _coverage(report: Report) -> Figure | None:
    for comparison in report.comparisons:
        metric = next((m for r in comparison.results.values() for m in r if m.startswith("coverage")), None)
        if metric is None:
            continue
        values = {name: comparison.results[name].get(metric) for name in _by_quality(comparison)}
        known = {name: v.value for name, v in values.items() if v is not None and math.isfinite(v.value)}
        labels = [wording.value(metric, v) for v in known.values()]
        caption = (
            f"{wording.label(metric)}: share of the {comparison.candidates:,} candidates that at least one of the "
            f"{counted(comparison.users, 'user')} is shown ({comparison.title})."
        )
        shares = {name: 100 * v for name, v in known.items()}
        told = ", ".join(f"{name} {text}" for name, text in zip(known, labels, strict=True))
        svg = plots.bars(
            shares,
            labels,
            ours=comparison.model,
            x_label="share of the candidates shown, %",
            name="coverage",
            alt=f"{caption} {told}.",
        )
        rows = tuple(Row(name, (Cell(text),)) for name, text in zip(known, labels, strict=True))
        return Figure(svg, caption, Table("Coverage", ("Method", wording.label(metric)), rows))
    return None


def _mix(report: Report) -> Figure | None:
    mixes = [
        *[mix for mix in report.mixes if not mix.is_truth][:MOST_SERIES],
        *[mix for mix in report.mixes if mix.is_truth][:1],
    ]
    if not mixes:
        return None
    leading = next((mix for mix in mixes if mix.is_truth), mixes[0]).shares
    everything = dict.fromkeys(c for mix in mixes for c in mix.shares)
    categories = sorted(everything, key=lambda c: -leading.get(c, 0.0))[:MOST_CATEGORIES]
    shares = {mix.name: [100 * mix.shares.get(c, 0.0) for c in categories] for mix in mixes}
    caption = "Which categories the recommendations are from, in percent of the places"
    caption += ", beside what users went on to choose." if any(mix.is_truth for mix in mixes) else "."
    if len(everything) > len(categories):
        caption += f" The {len(categories)} greatest of {len(everything)} categories."
    alt = f"{caption} {categories[0]}: " + ", ".join(f"{name} {v[0]:.0f} %" for name, v in shares.items()) + "."
    series = {name: [Interval(v, v, v) for v in values] for name, values in shares.items()}
    svg = plots.dots(categories, series, _slots(report), x_label="share of the places, %", name="mix", alt=alt)
    rows = tuple(
        Row(c, tuple(Cell(f"{values[row]:.1f} %") for values in shares.values())) for row, c in enumerate(categories)
    )
    return Figure(svg, caption, Table("Category mix", ("Category", *shares), rows))


def _trade(report: Report) -> Figure | None:
    """Accuracy against every kind of variety that was measured, one point a position of the dial."""
    if not report.trades:
        return None
    ndcg, kinds = "ndcg@10", [name for name in VARIETY if name in {*report.trades[0].users, *report.trades[0].whole}]
    metrics = list(report.trades[0].users)
    heads = ("Dial", *map(wording.label, metrics), *map(wording.label, report.trades[0].whole))
    rows = tuple(
        Row(
            trade.name,
            (
                *(Cell(wording.value(m, trade.users[m].value), wording.ends(m, trade.users[m])) for m in metrics),
                *(Cell(wording.value(m, value)) for m, value in trade.whole.items()),
            ),
        )
        for trade in report.trades
    )
    caption = (
        f"The dial from more of the same (below 0) over the ranker's own order (0) to discovery: {wording.label(ndcg)} "
        f"against {', '.join(map(wording.label, kinds))}, with 95{wording.NBSP}% intervals where there are some. Up is "
        "more accurate, right more varied."
    )
    told = "; ".join(
        f"{trade.name}: {wording.value(ndcg, trade.users[ndcg].value)} at "
        + ", ".join(f"{wording.label(name)} {wording.value(name, _of(trade, name).value)}" for name in kinds)
        for trade in report.trades
    )
    svg = plots.paths(
        [trade.name for trade in report.trades],
        {wording.label(name): [_of(trade, name) for trade in report.trades] for name in kinds},
        [trade.users[ndcg] for trade in report.trades],
        y_label=wording.label(ndcg),
        name="trade",
        alt=f"{caption} {told}.",
    )
    return Figure(svg, caption, Table("The dial", heads, rows))


def _of(trade: Trade, metric: str) -> Interval:
    """A metric at a position of the dial; what only all lists together have is known without an interval."""
    return trade.users.get(metric) or Interval(*[trade.whole[metric]] * 3)


def _exposure(report: Report) -> Table | None:
    """Who gets the places."""
    if not report.exposures:
        return None
    rows = tuple(
        Row(one.name.capitalize(), tuple(Cell(f"{100 * share:.1f} %") for share in (one.shown, one.chosen, one.items)))
        for one in report.exposures
    )
    caption = (
        "Who gets the places: brands by size (each size holds about a third of what had been met) and items by price, "
        "in the lists, in what the same users chose, and in the catalogue."
    )
    return Table(caption, ("Group", "Shown", "Chosen", "Items"), rows)


def _time(report: Report) -> Figure | None:
    if not report.timings:
        return None
    labels = [wording.seconds(timing.seconds) for timing in report.timings]
    total = wording.seconds(sum(timing.seconds for timing in report.timings))
    caption = f"Where the time went: {total} in all."
    told = ", ".join(f"{t.step} {text}" for t, text in zip(report.timings, labels, strict=True))
    durations = {timing.step: timing.seconds for timing in report.timings}
    svg = plots.bars(durations, labels, x_label="seconds", name="time", alt=f"{caption} {told}.")
    rows = tuple(Row(t.step, (Cell(text),)) for t, text in zip(report.timings, labels, strict=True))
    return Figure(svg, caption, Table("Time", ("Step", "Time"), rows))


def _launches(report: Report) -> list[list[Comparison]]:
    """The comparisons of each launch, by shot level."""
    launches = [c for c in report.comparisons if c.protocol == "launch"]
    key = attrgetter("title")
    order = {title: place for place, title in enumerate(dict.fromkeys(map(key, launches)))}
    ordered = sorted(launches, key=lambda c: (order[c.title], c.shot or 0.0))
    return [list(shots) for _, shots in groupby(ordered, key=key)]


def _series(report: Report, comparisons: Sequence[Comparison]) -> list[str]:
    """Ours and the methods that are best on average, without chance: what a figure shows."""
    chance = {method.name for method in report.methods if method.kind == "chance"}
    model = comparisons[0].model
    quality: dict[str, list[float]] = {}
    for comparison in comparisons:
        for name, metrics in comparison.results.items():
            if name != model and name not in chance and comparison.metric in metrics:
                quality.setdefault(name, []).append(metrics[comparison.metric].value)
    ranked = sorted(quality, key=lambda name: -sum(quality[name]) / len(comparisons))
    return [model, *ranked[: MOST_SERIES - 1]]


def _launch_series(report: Report, launches: Sequence[Comparison]) -> list[str]:
    """The same for launches, and one control: what it finds, nobody had to understand."""
    names = _series(report, launches)
    measured = {name for comparison in launches for name in comparison.results} - set(names)
    return names + [m.name for m in report.methods if m.kind == "control" and m.name in measured][:1]


def _slots(report: Report) -> dict[str, int]:
    """The look of each method in the figures: ours the first, what users did the last, the same in all figures.

    There are fewer looks than methods, so two methods may share one, but never in the same figure.
    """
    launches = [c for c in report.comparisons if c.protocol == "launch"]
    figures = [_launch_series(report, launches)] if launches else []
    figures += [_series(report, report.categories)] if report.categories else []
    figures.append([mix.name for mix in report.mixes if not mix.is_truth])
    slots = {mix.name: plots.SERIES - 1 for mix in report.mixes if mix.is_truth}
    models = {c.model for c in (*report.comparisons, *report.categories)} | {figures[-1][0] if figures[-1] else ""}
    for name in dict.fromkeys(name for names in figures for name in names):
        beside = {slots[other] for names in figures if name in names for other in names if other in slots}
        looks = range(plots.SERIES - 1) if name in models else range(1, plots.SERIES - 1)
        free = [look for look in looks if look not in beside]
        slots[name] = free[0] if free else looks[-1]
    return slots


def _by_quality(comparison: Comparison) -> list[str]:
    """The methods of a table: ours, then the others from the best to the worst."""

    def order(name: str) -> tuple[bool, float]:
        estimate = _estimate(comparison, name)
        return name != comparison.model, -estimate.value if estimate else math.inf

    return sorted(comparison.results, key=order)


def _estimate(comparison: Comparison, name: str) -> Interval | None:
    estimate = comparison.results.get(name, {}).get(comparison.metric)
    return estimate if estimate is not None and math.isfinite(estimate.value) else None


def _cell(comparison: Comparison, name: str, metric: str) -> Cell:
    estimate = comparison.results.get(name, {}).get(metric)
    if estimate is None:
        return Cell("–")
    return Cell(wording.value(metric, estimate.value), wording.ends(metric, estimate))


def _kind(name: str, comparison: Comparison) -> str:
    return {comparison.model: "model", comparison.baseline: "best"}.get(name, "")


def _metrics(report: Report) -> list[str]:
    """Every metric of the comparisons: the deciding one first, the others as they came."""
    comparisons = (*report.comparisons, *report.categories, *report.slices)
    deciding = [comparison.metric for comparison in comparisons]
    others = [metric for c in comparisons for result in c.results.values() for metric in result]
    return list(dict.fromkeys((*deciding, *others)))


def _size(comparison: Comparison) -> str:
    return f"{counted(comparison.users, 'user')}, {counted(comparison.candidates, 'item')} ranked"


def _caption(comparison: Comparison) -> str:
    return f"{comparison.question} {_size(comparison)}."


def _shot(comparison: Comparison) -> str:
    return "nothing seen" if not comparison.shot else f"{wording.percent(comparison.shot)} seen"


def _alt(caption: str, comparisons: Sequence[Comparison]) -> str:
    told = []
    for c in comparisons:
        ours, best = _estimate(c, c.model), _estimate(c, c.baseline)
        if ours and best:
            where = c.title if c.shot is None else f"{c.title}, {_shot(c)}"
            told.append(
                f"{where}: {c.model} {wording.value(c.metric, ours.value)}, "
                f"{c.baseline} {wording.value(c.metric, best.value)}"
            )
    return f"{caption} {'; '.join(told)}."
