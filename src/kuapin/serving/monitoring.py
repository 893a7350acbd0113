"""What Prometheus reads: counters and times of this process."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 5.0)
USERS = (1, 2, 4, 8, 16, 32, 64)


class Monitor:
    """The figures of one application; nothing in them is of a person."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kept: dict[str, Any] = {"registry": self.registry, "namespace": "kuapin"}
        self.requests = Counter("requests", "Requests by outcome.", ["method", "route", "status"], **kept)
        self.seconds = Histogram(
            "request_seconds", "From first byte in to last out.", ["route"], buckets=SECONDS, **kept
        )
        self.lists = Counter("lists", "Lists shown, by what they rest on.", ["surface", "basis", "release"], **kept)
        self.batch = Histogram("batch_users", "Users worked on together.", buckets=USERS, **kept)
        self.events = Counter("events", "Events received.", ["event"], **kept)
        self.release = Gauge("release_live", "1 for the release that is live.", ["release"], **kept)

    def seen(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request has ended."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        return bytes(generate_latest(self.registry))
