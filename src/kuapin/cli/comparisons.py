"""A report in the terminal: every question as a table, and what follows from it."""

from typing import TYPE_CHECKING

from kuapin.cli.output import say, say_table
from kuapin.counts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kuapin.evaluation.report import Comparison, Report

_ALSO = ("hit_rate", "recall")
"""Shown beside the metric that decides; the HTML and the JSON have them all."""


def say_report(report: "Report") -> None:
    """Caveat of the data, one table a question, one of the categories, one of the parts, findings, headline."""
    from kuapin.evaluation.verdict import findings, headline

    if report.data is not None and report.data.caveat:
        say(f"{report.data.name}: {report.data.caveat}")
    for comparison in report.comparisons:
        _say_comparison(comparison)
    _say_parts("category", report.categories)
    _say_parts("part", report.slices)
    say("")
    for finding in findings(report):
        say(f"{finding.title}: {finding.label}. {finding.text}")
    say(headline(report))


def _say_comparison(comparison: "Comparison") -> None:
    from kuapin.evaluation import wording

    shot = "" if comparison.shot is None else f", shot level {wording.percent(comparison.shot)}"
    say("")
    users, items = counted(comparison.users, "user"), counted(comparison.candidates, "item")
    say(f"{comparison.title}{shot}: {users}, {items} ranked")
    measured = [m for m in comparison.results[comparison.model] if m.partition("@")[0] in _ALSO]
    metrics = [comparison.metric, *(m for m in measured if m != comparison.metric)]
    names = sorted(comparison.results, key=lambda name: -comparison.results[name][comparison.metric].value)
    columns = {"method": names}
    for metric in metrics:
        cells = {name: comparison.results[name].get(metric) for name in names}
        columns[wording.label(metric)] = [wording.value(metric, c.value) if c else "–" for c in cells.values()]
        if metric == comparison.metric:
            columns["95 % interval"] = [wording.ends(metric, c) if c else "" for c in cells.values()]
    say_table(columns, right=tuple(name for name in columns if name != "method"))
    if not comparison.judged:
        return
    ratio = f"{wording.times(comparison.ratio.value)} ({wording.factor_ends(comparison.ratio)})"
    say(f"{comparison.model} to the best baseline, {comparison.baseline}: {ratio}")


def _say_parts(head: str, parts: "Sequence[Comparison]") -> None:
    """One line a category, or a part of the main question: ours and the best baseline by the metric that decides."""
    from kuapin.evaluation import wording

    if not parts:
        return
    first = parts[0]

    def values(names: list[str]) -> list[str]:
        return [
            wording.value(first.metric, c.results[name][first.metric].value)
            for c, name in zip(parts, names, strict=True)
        ]

    say("")
    say(f"{wording.label(first.metric)} by {head}{'' if first.protocol == 'launch' else ', answers new to the user'}")
    best = [comparison.baseline for comparison in parts]
    columns = {
        head: [comparison.title for comparison in parts],
        "users": [f"{comparison.users:,}" for comparison in parts],
        first.model: values([comparison.model for comparison in parts]),
        "best baseline": best,
        "its value": values(best),
        "ratio": [f"{wording.times(c.ratio.value)} ({wording.factor_ends(c.ratio)})" for c in parts],
    }
    say_table(columns, right=("users", first.model, "its value"), cut=(head, "best baseline"))
