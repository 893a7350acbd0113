"""Users: to be forgotten."""

from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Request

from kuapin.serving.access import needs
from kuapin.serving.bodies import ErasedOut, Id
from kuapin.serving.failures import responses
from kuapin.serving.service import Service

router = APIRouter(tags=["users"], responses=responses(400, 401, 403, 422, 429, 503), dependencies=[needs("admin")])


@router.delete("/v1/users/{user_id}", response_model=ErasedOut)
async def forget(request: Request, user_id: Id) -> ErasedOut:
    """Erase a person from everything that the shop holds; an unknown id gets a receipt as well."""
    service: Service = request.app.state.service
    receipt = await anyio.to_thread.run_sync(partial(service.forget, user_id))
    return ErasedOut(receipt=receipt.erasure.receipt, rows=receipt.rows, remains=list(receipt.remains))


@router.delete("/v1/users", response_model=ErasedOut)
async def forget_any(
    request: Request, user_id: Annotated[Id, Query(description="Any characters, a slash among them.")]
) -> ErasedOut:
    """The same, for ids that do not fit into a path."""
    return await forget(request, user_id)
