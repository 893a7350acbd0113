"""What the figures say, in plain words: where the model helps, where not, and when popularity is all that works."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from kuapin.evaluation.report import Comparison, Method, Report
from kuapin.evaluation.wording import NBSP, factor, factor_ends, listed, percent, times

Outcome = Literal["better", "unclear", "worse", "mixed"]

LABELS: dict[Outcome, str] = {
    "better": "Helps",
    "unclear": "No clear gain",
    "worse": "Does not help",
    "mixed": "Depends",
}


@dataclass(frozen=True)
class Finding:
    """One question, or one launch at all its shot levels, and its answer.

    Attributes:
        title: of the question.
        outcome: against the best baseline.
        text: the answer in a sentence or two.
    """

    title: str
    outcome: Outcome
    text: str

    @property
    def label(self) -> str:
        """The outcome in two or three words."""
        return LABELS[self.outcome]


def outcome(comparison: Comparison) -> Outcome:
    """Better or worse only where the whole interval of the ratio to the best baseline lies on one side of 1."""
    if comparison.ratio.low > 1:
        return "better"
    return "worse" if comparison.ratio.high < 1 else "unclear"


def headline(report: Report) -> str:
    """The answer to "does it help?" in one or two sentences; empty where no comparison is judged."""
    judged = [comparison for comparison in report.comparisons if comparison.judged]
    if not judged:
        return ""
    outcomes = [outcome(comparison) for comparison in judged]
    total, better, worse = len(outcomes), outcomes.count("better"), outcomes.count("worse")
    model, unclear = judged[0].model, total - better - worse
    tests = "the test" if total == 1 else f"all {total} tests"
    if better == total:
        return f"{model} ranks better than the best simple method in {tests}."
    rest = [
        f"in {worse} it ranks worse" if worse else "",
        f"in {unclear} there is no clear difference" if unclear else "",
    ]
    told = listed(part for part in rest if part)
    if better:
        return f"{model} ranks better than the best simple method in {better} of {total} tests; {told}."
    remark = _remark(judged, report.methods) or "A simple method serves as well."
    if total == 1:
        told = "it ranks worse" if worse else "there is no clear difference"
        return f"{model} does not rank better than the best simple method in the test: {told}. {remark}"
    return f"{model} ranks better than the best simple method in none of {total} tests: {told}. {remark}"


def findings(report: Report) -> list[Finding]:
    """One finding a question that is judged, in the report's order; the shot levels of a launch are one finding."""
    found = []
    judged = (comparison for comparison in report.comparisons if comparison.judged)
    for (protocol, title), group in groupby(judged, key=lambda c: (c.protocol, c.title)):
        same = list(group)
        if protocol == "launch":
            found.append(_launch(title, same, report.methods))
        else:
            found += [Finding(title, outcome(one), _sentence(one, report.methods)) for one in same]
    return found


def _sentence(comparison: Comparison, methods: Sequence[Method]) -> str:
    ratio, model, baseline = comparison.ratio, comparison.model, comparison.baseline
    if math.isnan(ratio.value):
        return f"There is nothing to tell {model} and {baseline} apart by."
    sure = f"{factor(ratio.value)} times its quality, 95{NBSP}% interval {factor_ends(ratio, ' to ')}"
    texts = {
        "better": f"{model} ranks better than {baseline}, the best simple method: {sure}.",
        "worse": f"{baseline} ranks better: {model} reaches {sure}.",
        "unclear": f"No clear difference between {model} and {baseline}, the best simple method: {sure}.",
    }
    told = outcome(comparison)
    remark = "" if told == "better" else _remark([comparison], methods)
    return " ".join(part for part in (texts[told], _hits(comparison), remark) if part)


def _hits(comparison: Comparison) -> str:
    """The hit rates of both methods, said of a hundred users; empty where they were not measured."""
    ours, best = (comparison.results.get(name, {}) for name in (comparison.model, comparison.baseline))
    metric = next((m for m in ours if m.startswith("hit_rate@") and m in best), None)
    if metric is None:
        return ""
    k = metric.partition("@")[2]
    return (
        f"Of 100 users, {100 * ours[metric].value:.0f} find something that they go on to choose among the {k} shown; "
        f"with {comparison.baseline}: {100 * best[metric].value:.0f}."
    )


def _launch(title: str, shots: Sequence[Comparison], methods: Sequence[Method]) -> Finding:
    groups: dict[Outcome, list[Comparison]] = {"better": [], "unclear": [], "worse": []}
    for comparison in shots:
        groups[outcome(comparison)].append(comparison)
    openings: dict[Outcome, str] = {
        "better": f"{shots[0].model} ranks better than the best simple method",
        "unclear": "There is no clear difference",
        "worse": "The best simple method ranks better",
    }
    present = [kind for kind, group in groups.items() if group]
    told = [f"{openings[kind]} {_seen(groups[kind], ratios=True)}." for kind in present]
    remark = _remark([c for c in shots if outcome(c) != "better"], methods)
    text = " ".join(part for part in (*told, remark) if part)
    return Finding(f"Opening {title}", present[0] if len(present) == 1 else "mixed", text)


def _seen(shots: Sequence[Comparison], *, ratios: bool = False) -> str:
    """The shot levels as a phrase: ``with none (1.33 × frozen text) and 1 % (…) of its users seen``."""
    levels = [
        (percent(c.shot) if c.shot else "none") + (f" ({times(c.ratio.value)} {c.baseline})" if ratios else "")
        for c in shots
    ]
    return f"with {listed(levels)} of its users seen"


def _remark(not_better: Sequence[Comparison], methods: Sequence[Method]) -> str:
    """What there is to say where ours is not ahead: that nothing works, or that popularity is all that does."""
    by_chance = [c for c in not_better if _no_better_than_chance(c, methods)]
    popular = {method.name for method in methods if method.kind == "popularity"}
    by_popularity = [c for c in not_better if c.baseline in popular and c not in by_chance]
    remarks = []
    if by_chance:
        remarks.append(f"Nothing finds more than chance does{_where(by_chance, not_better)}.")
    if by_popularity:
        remarks.append(f"Popularity is all that works{_where(by_popularity, not_better) or ' here'}.")
    return " ".join(remarks)


def _where(some: Sequence[Comparison], of: Sequence[Comparison]) -> str:
    """Which of them, where it is not all: by shot level within one launch, else by how many."""
    if len(some) == len(of):
        return ""
    if len({c.title for c in of}) == 1:
        return f" {_seen(some)}"
    return f" in {len(some)} of them"


def _no_better_than_chance(comparison: Comparison, methods: Sequence[Method]) -> bool:
    """Whether the interval of the best baseline reaches down to the interval of chance (where chance was measured)."""
    chance = [m.name for m in methods if m.kind == "chance" and m.name in comparison.results]
    if not chance or comparison.baseline not in comparison.results:
        return False
    best = comparison.results[comparison.baseline][comparison.metric]
    return best.low <= comparison.results[chance[0]][comparison.metric].high
