"""Who may ask the service."""

import time
from functools import partial

import anyio.to_thread
from fastapi import Request, Response

from kuapin.errors import InputError
from kuapin.service_settings import SCOPES
from kuapin.serving.console.guard import Changing, Form, console_of, first, pages, show, to

router = pages()
DAY = 86_400
LONGEST_NAME = 80
MOST_DAYS = 36_500


@router.get("/keys")
async def keys(request: Request) -> Response:
    """Every key, the newest first; of none the secret."""
    return await _page(request)


@router.post("/keys")
async def create(request: Request, form: Changing) -> Response:
    """Make a key, and show it this once."""
    ring = console_of(request).service.access.keyring
    scopes = [one for one in form.get("scope", []) if one in SCOPES]
    name = first(form, "name").strip()
    if not scopes or not name or len(name) > LONGEST_NAME:
        raise InputError(f"A key has a name of at most {LONGEST_NAME} characters, and one scope at least. Add them.")
    days = _figure(form, "days", most=MOST_DAYS)
    rate = _figure(form, "rate", most=1e9)
    ends = None if days is None else int(time.time() + days * DAY)
    _, text = await anyio.to_thread.run_sync(partial(ring.create, name, scopes, rate=rate, expires_at=ends))
    return await _page(request, made=text)


@router.post("/keys/rotate")
async def rotate(request: Request, form: Changing) -> Response:
    """A new key for an old one, which works for another day."""
    ring = console_of(request).service.access.keyring
    _, text = await anyio.to_thread.run_sync(partial(ring.rotate, first(form, "key_id"), DAY))
    return await _page(request, made=text)


@router.post("/keys/revoke")
async def revoke(request: Request, form: Changing) -> Response:
    """End a key."""
    ring = console_of(request).service.access.keyring
    await anyio.to_thread.run_sync(partial(ring.revoke, first(form, "key_id")))
    return to("/keys")


async def _page(request: Request, made: str = "") -> Response:
    ring = console_of(request).service.access.keyring
    found = await anyio.to_thread.run_sync(ring.all)
    return show(request, "keys", keys=found[::-1], made=made, scopes=SCOPES, now=time.time())


def _figure(form: Form, name: str, most: float) -> float | None:
    """A figure above 0; ``None`` where the field is empty."""
    text = first(form, name).strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise InputError(f"{name} is {text!r}; it is a number above 0, at most {most:,.0f}. Correct it.")
    return value
