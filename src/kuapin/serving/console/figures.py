"""Reads the figures that a process keeps for Prometheus."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample


class Figures:
    """The figures at one moment.

    Args:
        registry: that holds them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._samples: dict[str, list[Sample]] = {}
        for metric in registry.collect():
            for sample in metric.samples:
                self._samples.setdefault(sample.name, []).append(sample)

    def total(self, counter: str, status: str = "") -> float:
        """Sum of a counter; of a status only, where one is given by its first digits."""
        return sum(s.value for s in self._of(counter) if s.labels.get("status", "").startswith(status))

    def by(self, counter: str, label: str) -> dict[str, float]:
        """Sums of a counter by one of its labels."""
        found: dict[str, float] = {}
        for sample in self._of(counter):
            found[sample.labels[label]] = found.get(sample.labels[label], 0.0) + sample.value
        return found

    def quantile(self, histogram: str, share: float, route: Sequence[str]) -> float | None:
        """Upper end of the bucket that a quantile lies in; ``None`` where nothing was asked.

        Args:
            histogram: its name.
            share: of the quantile, such as 0.99.
            route: values of the label ``route`` that count.
        """
        counts: dict[float, float] = {}
        for sample in self._samples.get(f"{histogram}_bucket", []):
            if sample.labels.get("route") in route:
                end = float(sample.labels["le"])
                counts[end] = counts.get(end, 0.0) + sample.value
        total = max(counts.values(), default=0.0)
        if not total:
            return None
        return next(end for end in sorted(counts) if counts[end] >= share * total)

    def _of(self, counter: str) -> list[Sample]:
        return self._samples.get(f"{counter}_total", [])
