"""``kuapin forget``: erase a person."""

from typing import Annotated

import typer

from kuapin.cli.output import AsJson, ShopFolder, open_shop, remark, say, say_json
from kuapin.counts import counted

SHOWN = 8
"""Files that are named."""


def forget(
    folder: ShopFolder,
    *,
    user: Annotated[str, typer.Option("--user", help="Id of the person.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Erase a person from tables, events, exports, runs, reports and earlier releases; no backup brings anyone back."""
    shop = open_shop(folder)
    from kuapin.pipeline.forget import forget as erase

    receipt = erase(shop, user)
    if as_json:
        said = {"receipt": receipt.erasure.receipt, "erased_at": receipt.erasure.erased_at, "rows": receipt.rows}
        say_json(said | {"files": receipt.files, "remains": receipt.remains})
        return
    rows, files = counted(receipt.rows, "row"), counted(len(receipt.files), "file")
    say(f"Erased: {rows}, {files}. Receipt {receipt.erasure.receipt}")
    if not receipt.found:
        remark(
            "Nothing was found under this id, which stays barred. If it was misspelt, forget the right one.",
            quiet=False,
        )
    if receipt.files:
        more = f" and {len(receipt.files) - SHOWN:,} more" if len(receipt.files) > SHOWN else ""
        remark(f"Deleted or written anew: {', '.join(receipt.files[:SHOWN])}{more}.", quiet=False)
    for one in receipt.remains:
        remark(one, quiet=False)
