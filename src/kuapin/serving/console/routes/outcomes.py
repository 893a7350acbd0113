"""What followed from what was shown."""

import time
from functools import partial

import anyio.to_thread
import polars as pl
from fastapi import Request, Response

from kuapin import columns as c
from kuapin.serving.console.guard import console_of, pages, show

router = pages()
DAY = 86_400
STRETCHES = (1, 7, 30, 90)


@router.get("/outcomes")
async def outcomes(request: Request, days: int = 7) -> Response:
    """Click and purchase rates by surface and release, and by category."""
    days = days if days in STRETCHES else 7
    service = console_of(request).service
    found = await anyio.to_thread.run_sync(partial(service.outcomes, int(time.time()) - days * DAY))
    return show(
        request,
        "outcomes",
        days=days,
        stretches=STRETCHES,
        surfaces=_rates(found, [c.SURFACE, c.RELEASE]),
        categories=_rates(found, [c.CATEGORY]),
        shown=int(found["shown"].sum()) if found.height else 0,
    )


def _rates(found: pl.DataFrame, groups: list[str]) -> list[dict[str, object]]:
    """One row a group, the most shown first."""
    counts = pl.col("shown", "clicked", "bought")
    table = found.group_by(groups).agg(counts.sum()).sort("shown", *groups, descending=[True] + [False] * len(groups))
    rates = (pl.col(name) / pl.col("shown") for name in ("clicked", "bought"))
    return table.with_columns(**dict(zip(("click_rate", "purchase_rate"), rates, strict=True))).to_dicts()
