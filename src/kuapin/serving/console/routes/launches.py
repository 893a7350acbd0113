"""Categories that opened, with what was expected of them; replayed openings; how far the shop has moved since."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import Request, Response

from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.drift import MUCH, SOME
from kuapin.manifest import read_manifest
from kuapin.pipeline.onboard import OPENED
from kuapin.serving.console import charts, measured
from kuapin.serving.console.console import Console
from kuapin.serving.console.guard import console_of, pages, show
from kuapin.serving.console.verdicts import comparisons

router = pages()
POPULARITY = "popularity"
HISTORY = 12


@dataclass(frozen=True)
class Opened:
    """A category that was opened in the live release.

    Attributes:
        category: its name.
        items: how many it opened with.
        strategy: what serves it.
        shot: the level it opened at.
        levels: what was expected at every shot level.
        curve: the same, drawn; ``None`` where nothing was expected.
    """

    category: str
    items: int
    strategy: str
    shot: float
    levels: list[dict[str, Any]]
    curve: charts.Curve | None


@router.get("/launches")
async def launches(request: Request) -> Response:
    """What opened and what was expected; and what replays said."""
    console = console_of(request)
    opened = await anyio.to_thread.run_sync(partial(_opened, console))
    folder = console.service.shop.reports
    listed = await anyio.to_thread.run_sync(partial(measured.reports, folder))
    replayed = [
        (one.name, found)
        for one in listed
        if (report := measured.read(folder, one.name)) and (found := measured.launches(report))
    ]
    return show(request, "launches", opened=opened, replayed=replayed[:1])


@router.get("/drift")
async def drift(request: Request) -> Response:
    """How far the newest stretch lay from what the live release had learnt, at the last comparisons."""
    console = console_of(request)
    service, model = console.service, console.live
    every = await anyio.to_thread.run_sync(partial(comparisons, service.shop.models))
    told = [one for one in every if one.drift]
    position = await anyio.to_thread.run_sync(service.events.position)
    live = service.live.current
    return show(
        request,
        "drift",
        last=told[-1] if told else None,
        before=told[: -HISTORY - 1 : -1],
        some=SOME,
        much=MUCH,
        events=position,
        loaded_at=live.loaded_at,
        since=position - live.position,
        cold=int((model.histories.matrix().sum(axis=0) == 0).sum()),
        items=len(model.catalogue),
        refused=len(live.refused),
    )


def _opened(console: Console) -> list[Opened]:
    model = console.live
    records = read_manifest(console.service.shop.models / model.release).config.get(OPENED)
    found = []
    for category, record in records.items() if isinstance(records, dict) else ():
        if not isinstance(record, dict):
            continue
        levels = [one for one in _list(record.get("expected")) if isinstance(one, dict)]
        strategy = str(record.get("strategy"))
        found.append(
            Opened(
                category,
                int(str(record.get("items") or 0)),
                strategy,
                float(str(record.get("shot") or 0.0)),
                levels,
                _expected(levels, strategy) if levels else None,
            )
        )
    return found


def _expected(levels: list[dict[str, Any]], strategy: str) -> charts.Curve:
    """NDCG@10 of the best at every level, and of popularity."""
    steps = [f"{100 * level['shot']:g}\N{NO-BREAK SPACE}%" for level in levels]
    series = []
    for name in dict.fromkeys((strategy, *(level["best"] for level in levels), POPULARITY)):
        values = [level["strategies"].get(name, {}).get("ndcg@10") for level in levels]
        series.append((name, [None if value is None else Interval(value, value, value) for value in values]))
    return charts.curve(steps, series)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
