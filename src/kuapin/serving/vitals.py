"""How the service is: looked at now and then, and told to the monitor."""

import os
import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from kuapin import columns as c
from kuapin.errors import KuapinError, StoreError
from kuapin.manifest import read_manifest
from kuapin.pipeline.challenges import last_challenge

if TYPE_CHECKING:
    from kuapin.serving.service import Service

LOOKED_S = 2.0
COUNTED_S = 60.0
"""Outcomes are a question to the whole log of some days: not asked more often."""
DAYS = (1, 7)
"""Stretches over which online rates are told: what falls is seen against the longer one."""
DAY = 86_400
OUTCOMES = ("shown", "clicked", "bought")


class Vitals:
    """Looks at a service.

    Args:
        service: put together; its monitor is told.
    """

    def __init__(self, service: "Service") -> None:
        self.service = service
        self.monitor = service.monitor
        self.monitor.started.set(time.time())
        self._counted_at = -COUNTED_S
        self._counted: set[tuple[str, ...]] = set()
        self._made_of: str | None = None

    def look(self) -> None:
        """Everything that changes by itself."""
        service, monitor = self.service, self.monitor
        live = service.live.current
        monitor.answers_with(live.model.release)
        monitor.waiting.set(service.writer.waiting)
        monitor.resident.set(_resident_bytes())
        disk = shutil.disk_usage(service.shop.path)
        monitor.free.set(disk.free / disk.total)
        self._release(live.model.release)
        self._items()
        self._drift()
        try:
            service.events.position()
            if time.monotonic() - self._counted_at >= COUNTED_S:
                self.count_outcomes()
                self._counted_at = time.monotonic()
        except StoreError:
            monitor.store.set(0)
        else:
            monitor.store.set(1)

    def count_outcomes(self) -> None:
        """What was shown in the last days and what followed, by surface and release."""
        groups, before, self._counted = [c.SURFACE, c.RELEASE], self._counted, set()
        for days in DAYS:
            found = self.service.events.outcomes(int(time.time()) - days * DAY)
            table = found.group_by(groups).agg(pl.col(OUTCOMES).sum())
            for surface, release, *counts in table.iter_rows():
                for outcome, count in zip(OUTCOMES, counts, strict=True):
                    own = str(surface), str(release), str(days), outcome
                    self._counted.add(own)
                    self.monitor.online.labels(*own).set(count)
        for gone in before - self._counted:
            self.monitor.online.labels(*gone).set(0)

    def _release(self, answering: str) -> None:
        releases = self.service.live.releases
        try:
            self.monitor.behind.set(releases.live() != answering)
            if self._made_of != answering:
                made = read_manifest(releases.folder / answering).created_at
                self.monitor.made.set(datetime.fromisoformat(made).timestamp())
                self._made_of = answering
        except KuapinError:
            self.monitor.behind.set(1)

    def _items(self) -> None:
        model = self.service.live.current.model
        blocked, penalty = model.reranker.blocked, model.reranker.penalty
        self.monitor.items.labels("known").set(len(model.catalogue))
        self.monitor.items.labels("available").set(int(model.catalogue.available.sum()))
        self.monitor.items.labels("blocked").set(0 if blocked is None else int(blocked.sum()))
        self.monitor.items.labels("penalised").set(0 if penalty is None else int((penalty > 0).sum()))

    def _drift(self) -> None:
        last = last_challenge(self.service.shop.models)
        if last is not None:
            self.monitor.refreshed.set(datetime.fromisoformat(last["at"]).timestamp())
            for part, index in last.get("drift", {}).items():
                self.monitor.drift.labels(part).set(index)


def _resident_bytes() -> int:
    """Of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
