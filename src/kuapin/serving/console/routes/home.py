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
    search, model = console.search, console.live_in(language_of(request))
    busy = await anyio.to_thread.run_sync(lambda: search.busy)
    if not user:
        return show(request, "home", user="", page=None, busy=busy, users=len(model.users))
    make = partial(front_page.of_user, console.service, model, user)
    page = await anyio.to_thread.run_sync(make)
    return show(request, "home", user=user, page=page, busy=busy, users=len(model.users), known=user in model.users)


@router.get("/users.json")
async def users(request: Request, text: str = "") -> Response:
    """Users whose id holds a text."""
    find = partial(console_of(request).search.users, text)
    return JSONResponse(await anyio.to_thread.run_sync(find))
