"""How figures read: the metrics in words, and numbers with their units."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kuapin.evaluation.bootstrap import Interval

NBSP = "\u00a0"
"""Between a number and its unit, so that no line breaks there."""


@dataclass(frozen=True)
class Wording:
    """A metric in words.

    Attributes:
        label: for column heads and axes.
        meaning: one sentence for someone who does not know it; ``{k}`` stands for the cut.
        form: how its values are written.
    """

    label: str
    meaning: str
    form: Literal["score", "share", "bits", "count"]


METRICS = {
    "ndcg": Wording(
        "NDCG",
        "Quality of the order: 1 when the top places all hold what the user went on to choose, 0 when none of the "
        "{k} is right; a right item lower down counts less.",
        "score",
    ),
    "recall": Wording("Recall", "Share of what the user went on to choose that is among the {k}.", "share"),
    "hit_rate": Wording("Hit rate", "Share of users with at least one right item among the {k}.", "share"),
    "mrr": Wording("MRR", "One divided by the place of the first right item among the {k}, averaged.", "score"),
    "precision": Wording("Precision", "Share of the {k} that the user went on to choose.", "share"),
    "coverage": Wording("Coverage", "Share of the candidates that at least one user is shown among the {k}.", "share"),
    "category_entropy": Wording(
        "Category mix",
        "How mixed the {k} are over the categories, in bits: 0 is one category, 1 is two halves.",
        "bits",
    ),
    "novelty": Wording(
        "Novelty", "How surprising the {k} are, in bits: 10 bits is an item that one user in 1,024 has met.", "bits"
    ),
    "popularity_bias": Wording(
        "Popularity percentile",
        "Share of the candidates that are less popular than the {k} on average: 50 % is no preference.",
        "share",
    ),
    "intra_list_distance": Wording(
        "Distance in the list",
        "How far the texts of the {k} lie apart: 1 less the cosine, averaged.",
        "score",
    ),
    "met_before": Wording("Met before", "Share of the {k} that the user had met before.", "share"),
    "average_popularity": Wording("Average popularity", "Users who met the {k} before, averaged.", "count"),
}


def label(metric: str) -> str:
    """``ndcg@10`` → ``NDCG@10``."""
    name, _, k = metric.partition("@")
    known = METRICS[name].label if name in METRICS else name
    return f"{known}@{k}" if k else known


def meaning(metric: str) -> str:
    """The metric in one sentence; empty where it is none of ours."""
    name, _, k = metric.partition("@")
    return METRICS[name].meaning.format(k=f"first {k}" if k else "items listed") if name in METRICS else ""


def value(metric: str, number: float) -> str:
    """A value of the metric as it is written; ``–`` where it is undefined."""
    if not math.isfinite(number):
        return "–"
    name = metric.partition("@")[0]
    form = METRICS[name].form if name in METRICS else "score"
    return {
        "score": f"{number:.4f}",
        "share": f"{number * 100:.1f}{NBSP}%",
        "bits": f"{number:.2f}{NBSP}bits",
        "count": f"{number:,.0f}",
    }[form]


def ends(metric: str, interval: Interval) -> str:
    """The interval of a value, ``low – high``; empty where it has none."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return ""
    low, high = value(metric, interval.low), value(metric, interval.high)
    unit = next((u for u in (f"{NBSP}%", f"{NBSP}bits") if low.endswith(u)), "")
    return f"{low.removesuffix(unit)} – {high}"


def factor(ratio: float) -> str:
    """A ratio: ``1.31``; ``∞`` where only the baseline is 0, ``–`` where it is undefined."""
    if math.isnan(ratio):
        return "–"
    return f"{ratio:.2f}" if math.isfinite(ratio) else "∞"


def times(ratio: float) -> str:
    """A ratio with its sign: ``1.31 ×``."""
    return f"{factor(ratio)}{NBSP}×"


def factor_ends(ratio: Interval, between: str = " – ") -> str:
    """The interval of a ratio: ``1.25 – 1.41``."""
    return f"{factor(ratio.low)}{between}{factor(ratio.high)}"


def percent(share: float) -> str:
    """A share without needless digits: 0.01 → ``1 %``, 0.125 → ``12.5 %``."""
    return f"{share * 100:.3g}{NBSP}%"


def seconds(duration: float) -> str:
    """A duration: ``0.4 s``, ``38 s``, ``2 min 5 s``."""
    if duration < 10:
        return f"{duration:.1f}{NBSP}s"
    minutes, rest = divmod(round(duration), 60)
    return f"{minutes}{NBSP}min {rest}{NBSP}s" if minutes else f"{rest}{NBSP}s"


def listed(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    words = list(parts)
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)
