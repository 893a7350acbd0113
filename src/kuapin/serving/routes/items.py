"""Items: what is like one; one put, one taken away."""

import hashlib
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
import polars as pl
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from kuapin import columns as c
from kuapin.serving.access import needs
from kuapin.serving.bodies import Id, ItemIn, ItemOut, RecommendationsOut
from kuapin.serving.failures import RefusedError, responses
from kuapin.serving.questions import SHOWN
from kuapin.serving.routes.recommendations import Categories, Deny, Explain, N, Offset
from kuapin.serving.service import Service

router = APIRouter(tags=["items"], responses=responses(400, 401, 403, 404, 422, 429, 503))

AnyItem = Annotated[Id, Query(description="Any characters, a slash among them.")]


@router.get("/v1/items/{item_id}/similar", response_model=RecommendationsOut, dependencies=[needs("recommend")])
async def similar(
    request: Request,
    item_id: Id,
    n: N = 10,
    offset: Offset = 0,
    category: Categories = None,
    deny: Deny = None,
    explain: Explain = False,  # noqa: FBT002
) -> Response:
    """The items that could best stand in for one."""
    service: Service = request.app.state.service
    if n + offset > service.config.max_n:
        raise RefusedError(
            422, f"n and offset are at most {service.config.max_n:,} together; {n + offset:,} came. Ask less."
        )
    live = service.live.current
    in_force = [one.rule.name for one in live.model.reranker.rules.at(datetime.now(UTC)).bound]
    form = repr((live.mark, in_force, item_id, n, offset, category, deny, explain))
    tag = f'"{hashlib.sha256(form.encode("utf-8", "replace")).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    same = tag in request.headers.get("if-none-match", "")
    service.monitor.cache("etag", hit=same)
    if same:
        return Response(status_code=304, headers=headers)
    ask = partial(live.model.similar, item_id, n + offset, category, explain=explain, deny=deny or ())
    table = await service.in_time(request, ask)
    found = _said("similar", live.model.release, table, offset)
    service.monitor.lists.labels("similar", "content", live.model.release).inc()
    return JSONResponse(found, headers=headers)


@router.get("/v1/similar", response_model=RecommendationsOut, dependencies=[needs("recommend")])
async def similar_to_any(
    request: Request,
    item_id: AnyItem,
    n: N = 10,
    offset: Offset = 0,
    category: Categories = None,
    deny: Deny = None,
    explain: Explain = False,  # noqa: FBT002
) -> Response:
    """The same, for ids that do not fit into a path."""
    return await similar(request, item_id, n, offset, category, deny, explain)


@router.get("/v1/items/{item_id}/bundle", response_model=RecommendationsOut, dependencies=[needs("recommend")])
async def bundle(
    request: Request,
    item_id: Id,
    n: N = 10,
    category: Categories = None,
    deny: Deny = None,
    explain: Explain = False,  # noqa: FBT002
) -> JSONResponse:
    """The items of other kinds that complete an item."""
    service: Service = request.app.state.service
    if n > service.config.max_n:
        raise RefusedError(422, f"n is at most {service.config.max_n:,}; {n:,} came. Ask less.")
    live = service.live.current
    live.model.catalogue.items.row(item_id)
    ask = partial(live.model.bundle, item_id, n, category, explain=explain, deny=deny or ())
    table = await service.in_time(request, ask)
    return JSONResponse(_said("bundles", live.model.release, table, 0))


@router.get("/v1/bundle", response_model=RecommendationsOut, dependencies=[needs("recommend")])
async def any_bundle(
    request: Request,
    item_id: AnyItem,
    n: N = 10,
    category: Categories = None,
    deny: Deny = None,
    explain: Explain = False,  # noqa: FBT002
) -> JSONResponse:
    """The same, for ids that do not fit into a path."""
    return await bundle(request, item_id, n, category, deny, explain)


def _said(surface: str, release: str, table: pl.DataFrame, offset: int) -> dict[str, Any]:
    return {
        c.USER_ID: None,
        c.SURFACE: surface,
        c.RELEASE: release,
        c.RANKING_ID: secrets.token_hex(8),
        "basis": "content",
        "recommendations": [dict(zip(SHOWN, row, strict=True)) for row in table.select(SHOWN).iter_rows()][offset:],
    }


_WRITES: dict[str, Any] = {
    "response_model": ItemOut,
    "dependencies": [needs("write")],
    "responses": responses(409, 413),
}


@router.put("/v1/items/{item_id}", **_WRITES)
async def put(request: Request, item_id: Id, body: ItemIn) -> ItemOut:
    """Put an item as it is from now on: read and recommendable when this answers, without any training."""
    service: Service = request.app.state.service
    live = await anyio.to_thread.run_sync(partial(service.put_item, item_id, body.fields()))
    return ItemOut(item_id=item_id, release=live.model.release, recommendable=body.available is not False)


@router.put("/v1/items", **_WRITES)
async def put_any(request: Request, item_id: AnyItem, body: ItemIn) -> ItemOut:
    """The same, for ids that do not fit into a path."""
    return await put(request, item_id, body)


@router.delete("/v1/items/{item_id}", **_WRITES)
async def delete(request: Request, item_id: Id) -> ItemOut:
    """Take an item away: nobody is shown it from now on. What people did with it still counts."""
    service: Service = request.app.state.service
    live = await anyio.to_thread.run_sync(partial(service.delete_item, item_id))
    return ItemOut(item_id=item_id, release=live.model.release, recommendable=False)


@router.delete("/v1/items", **_WRITES)
async def delete_any(request: Request, item_id: AnyItem) -> ItemOut:
    """The same, for ids that do not fit into a path."""
    return await delete(request, item_id)
