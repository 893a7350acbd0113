"""What somebody without an id sees, whose history is built by clicking; it stands in the address."""

from functools import partial
from typing import Annotated
from urllib.parse import urlencode

import anyio.to_thread
from fastapi import Query, Request, Response

from kuapin.serving.console import front_page
from kuapin.serving.console.console import ROOT
from kuapin.serving.console.faces import Faces
from kuapin.serving.console.guard import console_of, language_of, pages, show
from kuapin.serving.console.search import FOUND

router = pages()
MOST = 50
"""Items of the history; the oldest are dropped."""
Items = Annotated[list[str] | None, Query()]


def address(history: list[str], text: str = "") -> str:
    """The page of a visitor who met some items, oldest first."""
    pairs = [("item", item) for item in history[-MOST:]] + ([("text", text)] if text else [])
    return f"{ROOT}/visitor" + (f"?{urlencode(pairs)}" if pairs else "")


@router.get("/visitor")
async def visitor(request: Request, item: Items = None, text: str = "") -> Response:
    """The builder of a history, and the home page for it."""
    console, history = console_of(request), (item or [])[-MOST:]
    model = console.spoken(console.live, language_of(request))
    page = await anyio.to_thread.run_sync(partial(front_page.of_visitor, model, history))
    found = await anyio.to_thread.run_sync(partial(console.search.items, text, FOUND))
    return show(
        request,
        "visitor",
        page=page,
        history=history,
        text=text,
        found=Faces(model).of_items(found),
        add=lambda one: address([*history, one], text),
        without=lambda place: address([*history[:place], *history[place + 1 :]], text),
        clear=address([], text),
    )
