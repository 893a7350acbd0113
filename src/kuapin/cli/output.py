"""What verbs have in common: their shared arguments, and results as text or JSON."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kuapin.progress import SILENT, Progress

if TYPE_CHECKING:
    from kuapin.model_folder import Releases
    from kuapin.workspace import Shop

ShopFolder = Annotated[Path, typer.Argument(metavar="SHOP", help="Folder of the shop.", show_default=False)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only: no progress, no remarks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]

_WIDE = 200
"""Columns of a table that no terminal shows."""
_NARROW = 8
"""A column is not made narrower than this."""
_GAP = 2
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def open_shop(folder: Path) -> "Shop":
    """The shop in a folder."""
    from kuapin.workspace import Shop

    return Shop.open(folder)


def releases_of(folder: Path) -> "Releases":
    """The releases of the shop in a folder."""
    from kuapin.model_folder import Releases

    shop = open_shop(folder)
    return Releases(shop.models, shop.config.releases)


def progress(*, quiet: bool) -> Progress:
    """What draws the progress of a job on standard error."""
    if quiet:
        return SILENT
    from kuapin.cli.bars import Bars

    return Bars()


def one_line(text: str) -> str:
    """Text without line breaks and without characters that would steer the terminal or turn the line around."""
    flat = " ".join(text.splitlines()).replace("\t", " ")
    return "".join(repr(ch)[1:-1] if unicodedata.category(ch) == "Cc" or ch in _TURNING else ch for ch in flat)


def say(text: str) -> None:
    """One line of the result."""
    typer.echo(one_line(text))


def remark(text: str, *, quiet: bool) -> None:
    """One line that is not part of the result."""
    if not quiet:
        typer.echo(one_line(text), err=True)


def say_suspects(folder: Path, suspects: Mapping[str, object]) -> None:
    """What of the log taught nothing (``Suspects.named``), and where their ids are if there are any."""
    where = f" Their ids: {folder / 'reports' / 'suspects.json'}" if suspects["interactions"] else ""
    say(f"{suspects['told']}{where}")


def say_json(value: object) -> None:
    """The result as JSON, keys in the order given."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def say_table(
    columns: Mapping[str, Sequence[str]],
    *,
    right: Sequence[str] = (),
    cut: Sequence[str] = (),
    wrap: Sequence[str] = (),
) -> None:
    """The result as a table.

    Args:
        columns: head → cells.
        right: columns of numbers.
        cut: columns whose cells are shortened where the table is wider than the terminal.
        wrap: columns that take several lines there; without ``cut`` and ``wrap`` all do.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    cells = {name: [one_line(cell) for cell in column] for name, column in columns.items()}
    widths = _fitted(cells, (*cut, *wrap), console.width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            width=widths.get(name),
            # A title may be cut, an id never: where nothing else gives way it takes several lines
            no_wrap=name in cut,
            overflow="ellipsis" if name in cut else "fold",
            min_width=max(map(cell_len, (name, *cells[name]))) if name in right else None,
        )
    for row in zip(*cells.values(), strict=True):
        table.add_row(*map(Text, row))
    console.print(table)


def _fitted(columns: Mapping[str, Sequence[str]], flexible: Sequence[str], room: int) -> dict[str, int]:
    """How wide the flexible columns may be; the widest gives way first, down to ``_NARROW``."""
    from rich.cells import cell_len

    widths = {name: max(map(cell_len, (name, *cells))) for name, cells in columns.items()}
    excess = sum(widths.values()) + _GAP * (len(widths) - 1) - room
    fitted = {name: widths[name] for name in flexible}
    while excess > 0 and fitted:
        widest = max(fitted, key=lambda name: fitted[name])
        if fitted[widest] <= _NARROW:
            break
        fitted[widest] -= 1
        excess -= 1
    return fitted
