"""``kuapin export``: all tables of a shop, what its service wrote included; or the service's store as it is."""

from pathlib import Path
from typing import Annotated

import typer

from kuapin.cli.output import AsJson, ShopFolder, open_shop, say, say_json
from kuapin.counts import counted


def export(
    folder: ShopFolder,
    target: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Where to.", show_default="SHOP/exports/<time>")
    ] = None,
    *,
    store: Annotated[
        bool,
        typer.Option("--store", help="The service's database whole, for kuapin import --store, instead of the tables."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write every table as Parquet; kuapin import reads the files back, and an event that is there stays one event."""
    shop = open_shop(folder)
    from kuapin.pipeline.export import export as write
    from kuapin.pipeline.export import export_store

    written = export_store(shop, target) if store else write(shop, target)
    if as_json:
        say_json({"folder": str(written.folder), "snapshot": written.snapshot, "rows": written.rows})
        return
    rows = ", ".join(f"{table} {counted(n, 'row')}" for table, n in written.rows.items())
    say(f"Wrote {written.folder}: {rows or 'nothing, the shop is empty'}")
