"""Whether it works, for those who watch it."""

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from kuapin.errors import StoreError
from kuapin.serving.access import Asking
from kuapin.serving.bodies import HealthOut
from kuapin.serving.failures import responses
from kuapin.serving.service import Service

router = APIRouter(tags=["health"])


@router.get("/health/live", response_model=HealthOut)
async def live() -> HealthOut:
    """The process answers."""
    return HealthOut(status="ok")


@router.get("/health/ready", response_model=HealthOut, responses={503: {"model": HealthOut}})
async def ready(request: Request) -> JSONResponse:
    """A release is loaded and the database answers."""
    service: Service = request.app.state.service
    release = service.live.current.model.release
    if not service.ready:
        return JSONResponse(HealthOut(status="starting").model_dump(), 503)
    try:
        await anyio.to_thread.run_sync(service.events.position)
    except StoreError:
        return JSONResponse(HealthOut(status="failing", release=release).model_dump(), 503)
    return JSONResponse(HealthOut(status="ok", release=release).model_dump())


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **responses(401, 429)}
)
async def metrics(request: Request, asking: Asking) -> Response:
    """Figures of all processes of the service in Prometheus' text format; any key opens them."""
    service: Service = request.app.state.service
    service.monitor.answers_with(service.live.current.model.release)
    text = await anyio.to_thread.run_sync(service.monitor.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
