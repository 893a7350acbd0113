"""What people did, and what they were shown."""

import asyncio
import hashlib
import json
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
import polars as pl
from fastapi import APIRouter, Query, Request

from kuapin import columns as c
from kuapin.data.identity import with_event_ids
from kuapin.serving.access import needs
from kuapin.serving.bodies import (
    EventIn,
    ImpressionIn,
    ImpressionsIn,
    InteractionsIn,
    OutcomeOut,
    OutcomesOut,
    Shown,
    WrittenOut,
)
from kuapin.serving.failures import DeadlineError, RefusedError, responses
from kuapin.serving.service import Service
from kuapin.text.personal import mask_personal

router = APIRouter(tags=["feedback"], responses=responses(400, 401, 403, 413, 422, 429, 503))
DAY = 86_400


@router.post("/v1/interactions", response_model=WrittenOut, dependencies=[needs("write")])
async def interactions(request: Request, body: InteractionsIn) -> WrittenOut:
    """Note what people did: on the disk when this answers, and counted in their very next lists."""
    service: Service = request.app.state.service
    _check_size(service, len(body.interactions))
    with_library = service.config.masking == "presidio"
    for one in body.interactions:
        one.user_id = service.person(one.user_id)
    if any(one.text or one.query for one in body.interactions):  # long texts must not keep others waiting
        rows = await anyio.to_thread.run_sync(_rows, body.interactions, with_library)
    else:
        rows = _rows(body.interactions, with_library)
    return await _written(request, rows)


@router.post("/v1/impressions", response_model=WrittenOut, dependencies=[needs("write")])
async def impressions(request: Request, body: ImpressionsIn) -> WrittenOut:
    """Note what people were shown; an item of a list that is sent twice counts once."""
    service: Service = request.app.state.service
    _check_size(service, sum(len(one.items) for one in body.impressions))
    for one in body.impressions:
        one.user_id = service.person(one.user_id)
    return await _written(request, [row for one in body.impressions for row in _rows_of(one)])


@router.get("/v1/outcomes", response_model=OutcomesOut, dependencies=[needs("admin")])
async def outcomes(
    request: Request, days: Annotated[int, Query(ge=1, le=365, description="How far back.")] = 7
) -> OutcomesOut:
    """Click and purchase rates of what was shown, by surface, release and category."""
    service: Service = request.app.state.service
    table = await service.in_time(request, partial(service.outcomes, int(time.time()) - days * DAY))
    return OutcomesOut(days=days, outcomes=[OutcomeOut(**row) for row in table.iter_rows(named=True)])


def _rows(events: Sequence[EventIn], with_library: bool) -> list[dict[str, Any]]:  # noqa: FBT001
    return _with_ids([_row(one, with_library) for one in events])


def _row(event: EventIn, with_library: bool) -> dict[str, Any]:  # noqa: FBT001
    row = event.model_dump()
    row[c.TIMESTAMP] = int(time.time()) if event.timestamp is None else event.timestamp
    for name in (c.TEXT, c.QUERY):
        row[name] = None if row[name] is None else mask_personal(row[name], library=with_library)
    return row


def _rows_of(shown: ImpressionIn) -> list[dict[str, Any]]:
    when = int(time.time()) if shown.timestamp is None else shown.timestamp
    same = shown.model_dump(exclude={"items"}) | {c.TIMESTAMP: when, c.EVENT: "impression"}
    return [same | one.model_dump() | {c.EVENT_ID: _impression_id(shown, one)} for one in shown.items]


def _impression_id(shown: ImpressionIn, one: Shown) -> str:
    """Of one item in one list of one person."""
    told = json.dumps([shown.ranking_id, shown.user_id, one.position, one.item_id])
    return hashlib.sha256(told.encode()).hexdigest()


def _with_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events without an id get the hash of their content (``data/identity.py``)."""
    nameless = [row for row in rows if row[c.EVENT_ID] is None]
    if nameless:
        frame = pl.DataFrame(
            [{k: v for k, v in row.items() if k != c.EVENT_ID} for row in nameless], infer_schema_length=None
        )
        for row, event_id in zip(nameless, with_event_ids(frame)[c.EVENT_ID], strict=True):
            row[c.EVENT_ID] = event_id
    return rows


def _check_size(service: Service, size: int) -> None:
    if size > service.config.max_events:
        raise RefusedError(
            422, f"A request has at most {service.config.max_events:,} events; {size:,} came. Send less at a time."
        )


async def _written(request: Request, rows: Sequence[dict[str, Any]]) -> WrittenOut:
    service: Service = request.app.state.service
    kept = service.not_erased(rows)
    timeout, started = service.timeout(request), time.perf_counter()
    try:
        async with asyncio.timeout(timeout):
            done = await asyncio.shield(asyncio.wrap_future(service.writer.put(kept)))
    except TimeoutError as error:
        raise DeadlineError(timeout) from error
    service.monitor.stage("commit", time.perf_counter() - started)
    service.count(kept)
    return WrittenOut(added=done.added, known=done.known)
