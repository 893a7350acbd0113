"""What safety keeps out of lists and why, and what people decide about it."""

from dataclasses import dataclass
from functools import partial

import anyio.to_thread
import polars as pl
from fastapi import Request, Response

from kuapin import columns as c
from kuapin.errors import InputError
from kuapin.list_layer import open_decisions
from kuapin.model import Model
from kuapin.pipeline.decisions import say_of
from kuapin.ranking.safety import CODE, DECISION, MARGIN, queue
from kuapin.serving.console.console import Console
from kuapin.serving.console.faces import Card, Faces
from kuapin.serving.console.guard import Changing, console_of, first, pages, show, to

router = pages()
SHOWN = 20


@dataclass(frozen=True)
class Waiting:
    """An item that waits for a decision, or on which one was made."""

    card: Card
    decision: str
    code: str
    reason: str
    margin: float | None


@router.get("/review")
async def review(request: Request, offset: int = 0, done: str = "") -> Response:
    """The queue, the surest first, and what people said last."""
    offset = max(offset, 0)
    find = partial(_queue, console_of(request), offset)
    waiting, total, said = await anyio.to_thread.run_sync(find)
    return show(
        request, "review", waiting=waiting, total=total, said=said, offset=offset, shown=SHOWN, done=done == "1"
    )


@router.post("/review")
async def decide(request: Request, form: Changing) -> Response:
    """Note that an item may, or may not, be shown."""
    items, decision = form.get("item", []), first(form, "decision")
    if decision not in ("allow", "block") or not items:
        raise InputError("A decision is allow or block, on an item. Use the buttons of the page.")
    note = partial(say_of, console_of(request).service.shop, **{decision: items})
    await anyio.to_thread.run_sync(note)
    return to("/review?done=1")


@router.post("/review/apply")
async def apply(request: Request, form: Changing) -> Response:
    """Let the decisions hold in the lists of this process from now on."""
    await anyio.to_thread.run_sync(console_of(request).service.live.reload)
    return to("/review")


def _queue(console: Console, offset: int) -> tuple[list[Waiting], int, list[Waiting]]:
    """What waits, how many there are, and the decisions of people."""
    shop, model = console.service.shop, console.live
    decisions = open_decisions(shop, shop.models / model.release, console.service.live.decisions(model.release))
    waiting = queue(decisions)
    said = decisions.filter(pl.col(CODE) == "label")
    return _known(model, waiting.slice(offset, SHOWN)), waiting.height, _known(model, said.head(SHOWN))


def _known(model: Model, table: pl.DataFrame) -> list[Waiting]:
    cards = Faces(model).of_items(table[c.ITEM_ID].to_list())
    rows = table.select(DECISION, CODE, c.REASON, MARGIN).iter_rows()
    return [
        Waiting(card, decision, code or "", reason or "", margin if margin is not None and margin > -1e9 else None)
        for card, (decision, code, reason, margin) in zip(cards, rows, strict=True)
    ]
