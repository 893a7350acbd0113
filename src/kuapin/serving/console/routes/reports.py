"""What was measured, drawn; the whole report is a click away."""

from functools import partial

import anyio.to_thread
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from kuapin.serving.console import measured
from kuapin.serving.console.guard import console_of, pages, show

router = pages()
OF_REPORT = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""A report brings its style sheet in the page; it has no scripts, and may run none."""


@router.get("/reports")
async def reports(request: Request, name: str = "") -> Response:
    """The last report, or another: verdicts, before and after, shot curves."""
    folder = console_of(request).service.shop.reports
    listed = await anyio.to_thread.run_sync(partial(measured.reports, folder))
    name = name or (listed[0].name if listed else "")
    report = await anyio.to_thread.run_sync(partial(measured.read, folder, name)) if name else None
    return show(
        request,
        "reports",
        listed=listed,
        name=name,
        report=report,
        judged=measured.judged(report) if report else [],
        pairs=measured.before_and_after(report) if report else None,
        launches=measured.launches(report) if report else [],
        has_page=report is not None and (folder / f"{name}.html").exists(),
    )


@router.get("/reports/{name}")
async def whole(request: Request, name: str) -> Response:
    """A report as it was written."""
    path = console_of(request).service.shop.reports / f"{name}.html"
    if not measured.NAME.fullmatch(name) or not path.is_file():
        raise HTTPException(404)
    text = await anyio.to_thread.run_sync(path.read_bytes)
    return HTMLResponse(text, headers={"Content-Security-Policy": OF_REPORT})
