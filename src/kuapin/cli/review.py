"""``kuapin review``: what is kept out of lists and why, and what people decide about it."""

from typing import Annotated

import typer

from kuapin import columns as c
from kuapin.cli.output import AsJson, Quiet, ShopFolder, open_shop, remark, say_json, say_table
from kuapin.counts import counted


def review(
    folder: ShopFolder,
    *,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="ITEM", help="This item may be shown; repeat.", show_default=False),
    ] = None,
    block: Annotated[
        list[str] | None,
        typer.Option("--block", metavar="ITEM", help="This item may not be shown; repeat.", show_default=False),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Items shown.")] = 20,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show the items that safety keeps out of lists, puts lower or flags, the surest first; or decide on some.

    A decision is a label of the task `safety`. It holds from the next start on, and teaches the classifier at the next
    training.
    """
    import polars as pl

    from kuapin.model_folder import Releases
    from kuapin.pipeline.decisions import say_of
    from kuapin.pipeline.decisions import waiting as waiting_in
    from kuapin.ranking.safety import CODE, DECISION, MARGIN

    shop = open_shop(folder)
    if allow or block:
        say_of(shop, allow=allow or [], block=block or [])
        remark(f"Noted {counted(len(allow or []) + len(block or []), 'decision')}.", quiet=quiet)
    release = Releases(shop.models, shop.config.releases).open_live()
    waiting = waiting_in(shop, release)
    items = shop.store.read(c.ITEMS, [c.ITEM_ID, c.TITLE])
    titles = items if c.TITLE in items.columns else items.with_columns(pl.lit(None, pl.String).alias(c.TITLE))
    shown = waiting.head(n).join(titles, on=c.ITEM_ID, how="left", maintain_order="left")
    if as_json:
        say_json({"waiting": waiting.height, "items": shown.to_dicts()})
        return
    if waiting.height == 0:
        remark("Nothing waits for review.", quiet=quiet)
        return
    cells = {
        name: ["" if cell is None else str(cell) for cell in shown[name]]
        for name in (c.ITEM_ID, DECISION, CODE, c.TITLE, c.REASON)
    }
    cells[MARGIN] = ["" if margin is None or margin < -1e9 else f"{margin:.2f}" for margin in shown[MARGIN]]
    say_table(cells, right=(MARGIN,), cut=(c.TITLE,), wrap=(c.REASON,))
    if shown.height < waiting.height:
        rest = waiting.height - shown.height
        remark(f"{counted(waiting.height, 'item')} in all; -n shows the other {rest:,} too.", quiet=quiet)
