"""Signing in and out, what somebody prefers, and the files that every page loads."""

from functools import partial

import anyio.to_thread
from fastapi import Request, Response
from starlette.exceptions import HTTPException

from kuapin.serving.console.console import ASSETS, ROOT, asset
from kuapin.serving.console.guard import (
    LANGUAGE,
    THEME,
    THEMES,
    Changing,
    Signed,
    console_of,
    first,
    own_path,
    pages,
    read_form,
    set_cookie,
    show,
    to,
)
from kuapin.serving.console.phrases import LANGUAGES
from kuapin.serving.console.sessions import COOKIE, LONGEST_S
from kuapin.serving.failures import RefusedError

router = pages(signed=False)
YEAR = 31_536_000


@router.get("")
async def without_slash() -> Response:
    """The console, by its short name."""
    return to("/")


@router.get("/sign-in")
async def sign_in(request: Request, next: str = "") -> Response:  # noqa: A002 - the name in the address
    """The form that asks for a key."""
    if console_of(request).open:
        return to("/")
    return show(request, "sign_in", wrong="", wanted=own_path(next))


@router.post("/sign-in")
async def check(request: Request) -> Response:
    """Exchange a key for a session."""
    form, console = await read_form(request), console_of(request)
    wanted = own_path(first(form, "next"))
    try:
        console.tries.take(request.client.host if request.client else "")
    except RefusedError as error:
        slow = show(request, "sign_in", 429, wrong="too_often", wanted=wanted)
        slow.headers["Retry-After"] = str(int(error.retry_after_s or 1) + 1)
        return slow
    cookie = await anyio.to_thread.run_sync(partial(console.sessions.sign_in, first(form, "key").strip()))
    if cookie is None:
        return show(request, "sign_in", 401, wrong="wrong", wanted=wanted)
    response = to(wanted.removeprefix(ROOT))
    set_cookie(request, response, COOKIE, cookie, LONGEST_S)
    return response


@router.post("/sign-out", dependencies=[Signed])
async def sign_out(request: Request, form: Changing) -> Response:
    """End the session in this browser."""
    response = to("/sign-in")
    set_cookie(request, response, COOKIE, "", 0)
    return response


@router.post("/preferences")
async def prefer(request: Request) -> Response:
    """Keep a language or a colour scheme for this browser."""
    form = await read_form(request)
    response = to(own_path(first(form, "back")).removeprefix(ROOT))
    for name, field, allowed in ((LANGUAGE, "language", LANGUAGES), (THEME, "theme", THEMES)):
        if first(form, field) in allowed:
            set_cookie(request, response, name, first(form, field), YEAR)
    return response


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """The style sheet and the script; their address changes with them."""
    if name not in ASSETS:
        raise HTTPException(404)
    headers = {"Cache-Control": f"public, max-age={YEAR}, immutable"}
    return Response(asset(name), media_type=ASSETS[name], headers=headers)


@router.get("/{path:path}", dependencies=[Signed])
async def nothing_here(path: str) -> Response:
    """Whatever else is asked for."""
    raise HTTPException(404)
