"""What a user sees."""

from functools import partial

import anyio.to_thread
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from kuapin.serving.console import front_page
from kuapin.serving.console.guard import console_of, language_of, pages, show

router = pages()


@router.get("/")
async def home(request: Request, user: str = "") -> Response:
    """The home page of a user, or a choice of users."""
    console = console_of(request)
    search, service = console.search, console.service
    busy = await anyio.to_thread.run_sync(lambda: search.busy)
    known = len(console.live.users)
    if not user:
        return show(request, "home", user="", page=None, busy=busy, users=known)
    person = service.person(user)
    live = service.live.of(person)
    model = console.spoken(live.model, language_of(request))
    page = await anyio.to_thread.run_sync(partial(front_page.of_user, service, live, model, person))
    return show(request, "home", user=user, page=page, busy=busy, users=known, known=bool(page.met))


@router.get("/users.json")
async def users(request: Request, text: str = "") -> Response:
    """Users whose id holds a text."""
    find = partial(console_of(request).search.users, text)
    return JSONResponse(await anyio.to_thread.run_sync(find))
