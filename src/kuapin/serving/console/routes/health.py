"""How the service is, by the figures that ``/metrics`` gives to Prometheus."""

import shutil
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import Request, Response

from kuapin.errors import StoreError
from kuapin.serving.console.figures import Figures
from kuapin.serving.console.guard import console_of, pages, show
from kuapin.serving.service import Service

router = pages()
ITEM_ROUTES = ("/v1/users/{user_id}/recommendations", "/v1/recommendations")
SLOW_S, FEW_FREE, FEW_PERSONAL, MANY_ERRORS = 0.1, 0.1, 0.5, 0.01
"""From where on a figure is worth a look."""


@router.get("/health")
async def health(request: Request) -> Response:
    """Each figure, whether it is as it should be, and what to do where it is not."""
    service = console_of(request).service
    return show(request, "health", **await anyio.to_thread.run_sync(partial(_found, service)))


def _found(service: Service) -> dict[str, Any]:
    figures = Figures(service.monitor.registry)
    asked, failed = figures.total("kuapin_requests"), figures.total("kuapin_requests", status="5")
    shed = figures.total("kuapin_requests", status="503")
    by_basis = figures.by("kuapin_lists", "basis")
    lists = sum(by_basis.values())
    slow = figures.quantile("kuapin_request_seconds", 0.99, route=ITEM_ROUTES)
    usual = figures.quantile("kuapin_request_seconds", 0.5, route=ITEM_ROUTES)
    disk = shutil.disk_usage(service.shop.path)
    free = disk.free / disk.total
    try:
        service.events.position()
        store = True
    except StoreError:
        store = False
    release = service.live.current.model.release
    behind = service.live.releases.live() != release
    personal = by_basis.get("personal", 0.0) / lists if lists else None
    return {
        "signs": [
            ("store", store, None),
            ("release", not behind, release),
            ("errors", not asked or (failed - shed) / asked <= MANY_ERRORS, (failed - shed, asked)),
            ("shed", not asked or shed / asked <= MANY_ERRORS, (shed, asked)),
            ("slow", slow is None or slow <= SLOW_S, (usual, slow)),
            ("personal", personal is None or personal >= FEW_PERSONAL, personal),
            ("disk", free >= FEW_FREE, free),
        ],
        "bases": sorted(by_basis.items(), key=lambda one: -one[1]),
        "lists": lists,
        "events": sorted(figures.by("kuapin_events", "event").items(), key=lambda one: -one[1]),
    }
