"""Reads the figures that Prometheus is given."""

import re

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


class Figures:
    """The figures at one moment.

    Args:
        text: in Prometheus' format.
    """

    def __init__(self, text: bytes) -> None:
        self._samples: dict[str, list[Sample]] = {}
        for metric in text_string_to_metric_families(text.decode()):
            for sample in metric.samples:
                self._samples.setdefault(sample.name, []).append(sample)

    def sum(self, name: str, **labels: str) -> float:
        """Sum of the samples whose labels match some expressions as a whole."""
        return sum(sample.value for sample in self._of(name, labels))

    def highest(self, name: str) -> float | None:
        """The highest sample; ``None`` where there is none."""
        return max((sample.value for sample in self._of(name, {})), default=None)

    def share(self, name: str, of: str = "", **labels: str) -> float | None:
        """Share of the samples that match in all of another, or the same, name; ``None`` where there are none."""
        total = self.sum(of or name)
        return self.sum(name, **labels) / total if total else None

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Sums by one of the labels."""
        found: dict[str, float] = {}
        for sample in self._of(name, labels):
            found[sample.labels[label]] = found.get(sample.labels[label], 0.0) + sample.value
        return found

    def quantile(self, histogram: str, part: float, **labels: str) -> float | None:
        """Upper end of the bucket that a quantile lies in; ``None`` where nothing was measured.

        Args:
            histogram: its name.
            part: of the quantile, such as 0.99.
            labels: which samples count.
        """
        counts = {float(end): count for end, count in self.by(f"{histogram}_bucket", "le", **labels).items()}
        total = max(counts.values(), default=0.0)
        return next(end for end in sorted(counts) if counts[end] >= part * total) if total else None

    def _of(self, name: str, labels: dict[str, str]) -> list[Sample]:
        return [
            sample
            for sample in self._samples.get(name, [])
            if all(re.fullmatch(wanted, sample.labels.get(label, "")) for label, wanted in labels.items())
        ]
