"""Releases: what there is, what is live."""

from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Request

from kuapin.serving.access import needs
from kuapin.serving.bodies import Id, LiveOut, ReleaseOut, ReleasesOut
from kuapin.serving.failures import responses
from kuapin.serving.service import Service

router = APIRouter(
    tags=["releases"], responses=responses(400, 401, 403, 409, 422, 429, 503), dependencies=[needs("admin")]
)


@router.get("/v1/models", response_model=ReleasesOut)
async def releases(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 50,
    offset: Annotated[int, Query(ge=0, description="How many are passed over.")] = 0,
) -> ReleasesOut:
    """The releases of the shop, newest first."""
    service: Service = request.app.state.service
    every = (await anyio.to_thread.run_sync(service.live.releases.versions))[::-1]
    shown = [
        ReleaseOut(
            version=one.version,
            created_at=one.created_at,
            bytes=one.bytes,
            live=one.live,
            metrics=dict(one.metrics),
            fault=one.fault,
        )
        for one in every[offset : offset + limit]
    ]
    return ReleasesOut(total=len(every), releases=shown)


@router.post("/v1/models/{version}/activate", response_model=LiveOut, responses=responses(404))
async def activate(request: Request, version: Id) -> LiveOut:
    """Make a release live: every byte of it is checked and it is loaded before anything changes."""
    service: Service = request.app.state.service
    live = await anyio.to_thread.run_sync(partial(service.live.activate, version))
    return LiveOut(release=live.model.release)


@router.post("/v1/models/rollback", response_model=LiveOut)
async def rollback(request: Request) -> LiveOut:
    """Make the release live that was live before."""
    service: Service = request.app.state.service
    live = await anyio.to_thread.run_sync(service.live.rollback)
    return LiveOut(release=live.model.release)
