"""How the service is, by the figures that ``/metrics`` gives to Prometheus."""

import time
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import Request, Response

from kuapin.serving.console.figures import Figures
from kuapin.serving.console.guard import console_of, pages, show
from kuapin.serving.console.signs import signs
from kuapin.serving.service import Service

router = pages()


@router.get("/health")
async def health(request: Request) -> Response:
    """Each figure, whether it is as it should be, and what to do where it is not."""
    service = console_of(request).service
    return show(request, "health", **await anyio.to_thread.run_sync(partial(_found, service)))


def _found(service: Service) -> dict[str, Any]:
    service.vitals.look()
    figures = Figures(service.monitor.text())
    bases = figures.by("kuapin_lists_total", "basis")
    events = figures.by("kuapin_events_total", "event")
    return {
        "signs": signs(figures, time.time()),
        "bases": sorted(bases.items(), key=lambda one: -one[1]),
        "lists": sum(bases.values()),
        "events": sorted(events.items(), key=lambda one: -one[1]),
    }
