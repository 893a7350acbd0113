"""The metrics by name: ``ndcg@10`` is NDCG of the first ten, ``mrr`` without a number is of the whole list."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin.errors import InputError
from kuapin.evaluation.metrics.category_entropy import category_entropy
from kuapin.evaluation.metrics.coverage import coverage
from kuapin.evaluation.metrics.hit_rate import hit_rate
from kuapin.evaluation.metrics.mrr import mrr
from kuapin.evaluation.metrics.ndcg import ndcg
from kuapin.evaluation.metrics.novelty import novelty
from kuapin.evaluation.metrics.popularity_bias import average_popularity, popularity_percentile
from kuapin.evaluation.metrics.precision import precision
from kuapin.evaluation.metrics.recall import recall
from kuapin.evaluation.ranked import Answers, ItemFacts, Judged, Ranked, judge

Vector = NDArray[np.float64]

ACCURACY: Mapping[str, Callable[[Judged, int], Vector]] = {
    "ndcg": ndcg,
    "recall": recall,
    "hit_rate": hit_rate,
    "mrr": mrr,
    "precision": precision,
}
"""One value a user in [0, 1], from the answers; a better list never scores lower."""

BEYOND: Mapping[str, Callable[[Judged, int], Vector]] = {
    "category_entropy": category_entropy,
    "novelty": novelty,
    "popularity_bias": popularity_percentile,
    "average_popularity": average_popularity,
}
"""One value a user, from the list alone; NaN where the list is empty."""

WHOLE: Mapping[str, Callable[[Judged, int], float]] = {"coverage": coverage}
"""One value for all lists together."""

DEFAULT = (
    "ndcg@10",
    "recall@10",
    "recall@50",
    "hit_rate@10",
    "mrr",
    "precision@10",
    "coverage@10",
    "category_entropy@10",
    "novelty@10",
    "popularity_bias@10",
)


@dataclass(frozen=True)
class PerUser:
    """The outcome of one method: a value per user and metric, and what only all lists together have.

    Attributes:
        users: metric name → float64 (n_users,), in the order of the ranked lists.
        whole: metric name → value.
    """

    users: Mapping[str, Vector]
    whole: Mapping[str, float]

    def mean(self, metric: str) -> float:
        """The metric's mean over users (those where it is defined), or its value for all lists; NaN without users."""
        if metric in self.whole:
            return self.whole[metric]
        values = self.users[metric]
        defined = values[~np.isnan(values)]
        return float(defined.mean()) if len(defined) else float("nan")

    def means(self) -> dict[str, float]:
        """Every metric's mean."""
        return {name: self.mean(name) for name in (*self.users, *self.whole)}

    def frame(self) -> pl.DataFrame:
        """The values per user as a table, one row a user, one column a metric: what is stored beside results."""
        return pl.DataFrame(dict(self.users))


def evaluate(ranked: Ranked, answers: Answers, facts: ItemFacts, metrics: Sequence[str] = DEFAULT) -> PerUser:
    """Judge ranked lists.

    Args:
        ranked: one list a test user.
        answers: of the same users, in the same order; each has at least one.
        facts: about the items.
        metrics: names, with ``@k`` or without (then the whole list counts).

    Raises:
        InputError: a metric is unknown, or the lists are cut before its k although more candidates exist.
    """
    judged = judge(ranked, answers, facts)
    users: dict[str, Vector] = {}
    whole: dict[str, float] = {}
    for metric in metrics:
        name, k = _parse(metric, judged)
        if name in WHOLE:
            whole[metric] = WHOLE[name](judged, k)
        else:
            users[metric] = (ACCURACY.get(name) or BEYOND[name])(judged, k)
    return PerUser(users, whole)


def _parse(metric: str, judged: Judged) -> tuple[str, int]:
    known = (*ACCURACY, *BEYOND, *WHOLE)
    match = re.fullmatch(r"([a-z_]+)(?:@([1-9]\d*))?", metric)
    if match is None or match[1] not in known:
        raise InputError(f"A metric is one of {', '.join(known)}, with or without @k; {metric!r} came. Correct it.")
    k = int(match[2]) if match[2] else max(judged.ranked.k, 1)
    if judged.ranked.k < min(k, len(judged.facts.candidates)):
        raise InputError(
            f"{metric} needs lists of {k} items; they are cut at {judged.ranked.k}. Rank at least {k} items a user."
        )
    return match[1], k
