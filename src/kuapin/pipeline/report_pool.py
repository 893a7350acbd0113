"""Outcomes of all methods on one question, pooled over seeds, as one comparison of the report."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.bootstrap import Interval, Vector, intervals, ratio_interval
from kuapin.evaluation.metrics.registry import PerUser
from kuapin.evaluation.report import Comparison, Protocol

MODEL = "Kuapin"
METRIC = "ndcg@10"


class Pool:
    """The outcomes of one question; those of a further seed are put after the others.

    A user who is asked under two seeds is one cluster of the bootstrap.
    """

    def __init__(self) -> None:
        self._users: list[NDArray[np.integer]] = []
        self._outcomes: list[Mapping[str, PerUser]] = []

    def __len__(self) -> int:
        return sum(len(users) for users in self._users)

    @property
    def methods(self) -> list[str]:
        """The methods that were measured under every seed, in the order of the first."""
        first = self._outcomes[0] if self._outcomes else {}
        return [name for name in first if all(name in outcomes for outcomes in self._outcomes)]

    def add(self, users: NDArray[np.integer], outcomes: Mapping[str, PerUser]) -> None:
        """Take the outcomes of one seed.

        Args:
            users: rows in the dataset of the users asked, in the order of the outcomes.
            outcomes: method → outcome.
        """
        self._users.append(users)
        self._outcomes.append(outcomes)

    def values(self, method: str, metric: str) -> Vector:
        """One value a user and seed, float64 (n,)."""
        return np.concatenate([outcomes[method].users[metric] for outcomes in self._outcomes])

    def best_baseline(self, metric: str = METRIC) -> str:
        """The method that is best by the pooled mean, ours aside."""
        return max((m for m in self.methods if m != MODEL), key=lambda m: float(np.nanmean(self.values(m, metric))))

    def comparison(
        self,
        title: str,
        question: str,
        protocol: Protocol,
        candidates: int,
        *,
        shot: float | None = None,
        metric: str = METRIC,
    ) -> Comparison:
        """All methods side by side, with intervals, and ours against the best baseline."""
        clusters = np.concatenate(self._users)
        best = self.best_baseline(metric)
        ratio = ratio_interval(self.values(MODEL, metric), self.values(best, metric), clusters=clusters)
        return Comparison(
            title=title,
            question=question,
            protocol=protocol,
            metric=metric,
            users=len(self),
            candidates=candidates,
            results=self._results(clusters),
            model=MODEL,
            baseline=best,
            ratio=ratio,
            shot=shot,
        )

    def _results(self, clusters: NDArray[np.integer]) -> dict[str, dict[str, Interval]]:
        """Method → metric → value: all of one draw of the users, so that they are paired."""
        first = self._outcomes[0]
        keys = [(method, metric) for method in self.methods for metric in first[method].users]
        estimates = intervals(np.column_stack([self.values(*key) for key in keys]), clusters=clusters)
        results: dict[str, dict[str, Interval]] = {method: {} for method in self.methods}
        for (method, metric), estimate in zip(keys, estimates, strict=True):
            results[method][metric] = estimate
        for method in self.methods:
            for metric in first[method].whole:
                value = float(np.mean([outcomes[method].whole[metric] for outcomes in self._outcomes]))
                results[method][metric] = Interval(value, float("nan"), float("nan"))
        return results
