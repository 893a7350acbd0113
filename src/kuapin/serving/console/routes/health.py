"""How the service is, by the figures that ``/metrics`` gives to Prometheus."""

import shutil
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import Request, Response

from kuapin.errors import StoreError
from kuapin.evaluation.drift import MUCH
from kuapin.manifest import read_manifest
from kuapin.serving.console.figures import Figures
from kuapin.serving.console.guard import console_of, pages, show
from kuapin.serving.console.verdicts import comparisons
from kuapin.serving.service import Service

router = pages()
ITEM_ROUTES = ("/v1/users/{user_id}/recommendations", "/v1/recommendations")
SLOW_S, FEW_FREE, FEW_PERSONAL, MANY_ERRORS, MANY_BLOCKED, OLD_DAYS = 0.1, 0.1, 0.5, 0.01, 0.05, 60
"""From where on a figure is worth a look."""


@router.get("/health")
async def health(request: Request) -> Response:
    """Each figure, whether it is as it should be, and what to do where it is not."""
    service = console_of(request).service
    return show(request, "health", **await anyio.to_thread.run_sync(partial(_found, service)))


def _found(service: Service) -> dict[str, Any]:
    figures = Figures(service.monitor.text())
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
    model = service.live.current.model
    release, blocked = model.release, model.reranker.blocked
    made = read_manifest(service.shop.models / release).created_at
    age = (datetime.now(UTC) - datetime.fromisoformat(made)).days
    kept_back = 0.0 if blocked is None else float(blocked.mean())
    measured = [max(one.drift.values()) for one in comparisons(service.shop.models) if one.drift]
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
            ("drift", not measured or measured[-1] <= MUCH, measured[-1] if measured else None),
            ("blocked", kept_back <= MANY_BLOCKED, kept_back),
            ("age", age <= OLD_DAYS, age),
            ("disk", free >= FEW_FREE, free),
        ],
        "bases": sorted(by_basis.items(), key=lambda one: -one[1]),
        "lists": lists,
        "events": sorted(figures.by("kuapin_events", "event").items(), key=lambda one: -one[1]),
    }
