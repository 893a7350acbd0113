"""How often somebody may ask: a bucket each, filled evenly (token bucket)."""

import time

from kuapin.serving.failures import RefusedError

BURST_SECONDS = 2.0
MOST = 10_000


class Rates:
    """The buckets of this process.

    Args:
        rate: requests a second of those who have no rate of their own.
        most: requests at once; ``None``: those of ``BURST_SECONDS``.
    """

    def __init__(self, rate: float, most: float | None = None) -> None:
        self.rate = rate
        self.most = most
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str, rate: float | None = None, now: float | None = None) -> None:
        """Take one request out of somebody's bucket.

        Raises:
            RefusedError: 429, the bucket is empty.
        """
        rate, now = rate or self.rate, time.monotonic() if now is None else now
        most = self.most or max(1.0, rate * BURST_SECONDS)
        left, at = self._buckets.get(name, (most, now))
        left = min(most, left + (now - at) * rate)
        if left < 1.0:
            raise RefusedError(429, f"More than {rate:g} requests a second. Ask less often.", (1.0 - left) / rate)
        if len(self._buckets) >= MOST and name not in self._buckets:
            self._buckets.clear()
        self._buckets[name] = left - 1.0, now
