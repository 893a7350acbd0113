"""Releases: what there is, what is live, and what the gate said."""

from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import Request, Response

from kuapin.serving.console.console import Console
from kuapin.serving.console.guard import Changing, console_of, first, pages, show, to
from kuapin.serving.console.verdicts import last_comparison

router = pages()
QUALITY = "ndcg@10"


@router.get("/versions")
async def versions(request: Request) -> Response:
    """The releases, the newest first; what was live when; the last comparison of two."""
    return show(request, "versions", **await anyio.to_thread.run_sync(partial(_found, console_of(request))))


@router.post("/versions/activate")
async def activate(request: Request, form: Changing) -> Response:
    """Make a release live."""
    live = console_of(request).service.live
    await anyio.to_thread.run_sync(partial(live.activate, first(form, "version")))
    return to("/versions")


@router.post("/versions/rollback")
async def rollback(request: Request, form: Changing) -> Response:
    """Make the release live that was live before."""
    await anyio.to_thread.run_sync(console_of(request).service.live.rollback)
    return to("/versions")


def _found(console: Console) -> dict[str, Any]:
    releases = console.service.live.releases
    every = releases.versions()[::-1]
    return {
        "releases": every,
        "log": releases.log()[:-11:-1],
        "comparison": last_comparison(console.service.shop.models),
        "others": [one.version for one in every if not one.live and not one.fault],
    }
