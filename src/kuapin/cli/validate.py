"""``kuapin validate``: what is wrong with a shop's tables and settings."""

import typer

from kuapin.cli.failures import WRONG_USAGE
from kuapin.cli.faults import plain_fault, say_faults
from kuapin.cli.output import AsJson, ShopFolder, open_shop, say, say_json
from kuapin.counts import counted


def validate(folder: ShopFolder, *, as_json: AsJson = False) -> None:
    """Check settings and tables; report every fault with table, row and column, and the rows that were left out.

    The exit code is 2 where a table cannot be used as it is, else 0.
    """
    from kuapin.data.faults import Action

    shop = open_shop(folder)
    _ = shop.config  # raises where kuapin.toml is wrong
    found = shop.validate()
    rejected = found.of(Action.REJECTED)
    if as_json:
        say_json(
            {
                "valid": not rejected,
                "rows": {table: frame.height for table, frame in found.tables.items()},
                "left_out": found.left_out,
                "faults": [plain_fault(fault) for fault in found.faults],
            }
        )
    else:
        for table, frame in found.tables.items():
            say(f"{table}: {counted(frame.height, 'row')}")
        say_faults(found.faults)
        say(_verdict(len(rejected), len(found.faults), found.left_out))
    if rejected:
        raise typer.Exit(WRONG_USAGE)


def _verdict(rejected: int, faults: int, left_out: int) -> str:
    if not faults:
        return "No fault found."
    found, outside = counted(faults, "fault"), counted(left_out, "row")
    return f"{found}, {rejected:,} of them to be mended before use; {outside} left out."
