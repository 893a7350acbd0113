"""What Prometheus reads: counters, times and gauges; of all processes together where there are several."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable: the folder in which the processes of one service keep their figures. The library reads it when
it is imported, so that it has to be set before a worker begins."""
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 5.0)
STAGE_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0)
LAG_SECONDS = (1, 10, 60, 300, 900, 3_600, 21_600, 86_400)
USERS = (1, 2, 4, 8, 16, 32, 64)
BITS = (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
_RESULTS = {0: "done", 1: "failed", 3: "kept", 4: "busy"}
"""Exit code of ``kuapin refresh`` → its result."""


class Monitor:
    """The figures of one application; nothing in them is of a person. A ``Listener`` of what happens inside.

    Gauges that are of one process are summed over processes, those of the shop are the same in all.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kept: dict[str, Any] = {"registry": self.registry, "namespace": "kuapin"}
        summed, same, latest = (kept | {"multiprocess_mode": mode} for mode in ("livesum", "livemostrecent", "livemax"))
        self.requests = Counter("requests", "Requests by outcome.", ["method", "route", "status"], **kept)
        self.seconds = Histogram(
            "request_seconds", "From first byte in to last out.", ["route"], buckets=SECONDS, **kept
        )
        self.refusals = Counter("refusals", "Requests that were not answered, by what forbade it.", ["reason"], **kept)
        self.lists = Counter("lists", "Lists shown, by what they rest on.", ["surface", "basis", "release"], **kept)
        self.batch = Histogram("batch_users", "Users worked on together.", buckets=USERS, **kept)
        self.stages = Histogram(
            "stage_seconds", "Parts of the work, for a whole batch.", ["stage"], buckets=STAGE_SECONDS, **kept
        )
        self.proposed = Counter("candidates", "Candidates, by the source that proposed them.", ["source"], **kept)
        self.entropy = Histogram(
            "list_entropy_bits", "Entropy of the categories in a list over all of them.", buckets=BITS, **kept
        )
        self.looked_up = Counter("cache", "Look-ups, by cache and whether it had the answer.", ["cache", "hit"], **kept)
        self.events = Counter("events", "Events received.", ["event"], **kept)
        self.lag = Histogram(
            "event_lag_seconds", "From what was done to its being written.", buckets=LAG_SECONDS, **kept
        )
        self.refreshes = Counter("refreshes", "Runs of kuapin refresh beside the service.", ["result"], **kept)
        self.release = Gauge("release_live", "Processes that answer with a release.", ["release"], **summed)
        self.waiting = Gauge("events_waiting", "Batches of events that wait to be written.", **summed)
        self.resident = Gauge("resident_bytes", "Resident memory.", **summed)
        self.behind = Gauge("release_behind", "Whether another release is live on the disk than answers.", **summed)
        self.started = Gauge("started_timestamp_seconds", "When the youngest process started.", **latest)
        self.made = Gauge("release_created_timestamp_seconds", "When the live release was made.", **same)
        self.store = Gauge("store_up", "Whether the database answers.", **same)
        self.free = Gauge("disk_free_share", "Free share of the disk that the shop lies on.", **same)
        self.items = Gauge("items", "Items of the live release.", ["state"], **same)
        self.drift = Gauge("drift_index", "Population stability index found by the last refresh.", ["part"], **same)
        self.refreshed = Gauge("refresh_timestamp_seconds", "When the last refresh compared two models.", **same)
        self.online = Gauge(
            "online_items", "Items shown lately, and what followed.", ["surface", "release", "days", "outcome"], **same
        )
        for result in _RESULTS.values():
            self.refreshes.labels(result)  # from 0 on: an increase is seen only from what was there before
        self._releases: set[str] = set()

    def seen(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request has ended."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        """A stage has ended."""
        self.stages.labels(name).observe(seconds)

    def candidates(self, counts: Mapping[str, int]) -> None:
        """Sources have proposed."""
        for source, count in counts.items():
            self.proposed.labels(source).inc(count)

    def spread(self, bits: float) -> None:
        """A list is shown."""
        self.entropy.observe(bits)

    def cache(self, name: str, *, hit: bool) -> None:
        """Something was looked up."""
        self.looked_up.labels(name, "yes" if hit else "no").inc()

    def refresh_ended(self, code: int) -> None:
        """A run of ``kuapin refresh`` beside the service has ended, with an exit code."""
        self.refreshes.labels(_RESULTS.get(code, _RESULTS[1])).inc()

    def answers_with(self, release: str) -> None:
        """The release that this process answers with; the others, it does not."""
        for other in self._releases - {release}:
            self.release.labels(other).set(0)
        self._releases.add(release)
        self.release.labels(release).set(1)

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        if SHARED not in os.environ:
            return bytes(generate_latest(self.registry))
        for pid in _gone(Path(os.environ[SHARED])):
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return bytes(generate_latest(together))


@contextmanager
def shared_figures() -> Iterator[None]:
    """A folder for the figures of several processes that are started while the block runs."""
    folder = tempfile.mkdtemp(prefix="kuapin-figures-")
    os.environ[SHARED] = folder
    try:
        yield
    finally:
        del os.environ[SHARED]
        shutil.rmtree(folder, ignore_errors=True)


def _gone(folder: Path) -> set[int]:
    """Processes that have left gauges behind and are no more."""
    pids = {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}
    return {pid for pid in pids if not _runs(pid)}


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
