"""``kuapin import``: tables into a shop."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kuapin.cli.faults import plain_fault, say_faults
from kuapin.cli.output import AsJson, Quiet, ShopFolder, open_shop, progress, releases_of, remark, say, say_json
from kuapin.counts import counted
from kuapin.errors import InputError, ModelFolderError

if TYPE_CHECKING:
    from kuapin.workspace import ImportReport


class Format(StrEnum):
    """Who wrote the files."""

    AUTO = "auto"
    PLAIN = "plain"
    COMPLETE_JOURNEY = "complete-journey"
    GORSE = "gorse"
    RECBOLE = "recbole"
    AMAZON = "amazon"
    PERSONALIZE = "personalize"


def _file(table: str, meaning: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(f"--{table}", metavar="FILE", help=meaning, show_default=False)
    return option


def import_tables(
    folder: ShopFolder,
    *,
    items: Annotated[Path | None, _file("items", "What is sold.")] = None,
    interactions: Annotated[Path | None, _file("interactions", "Who did what with which item, and when.")] = None,
    users: Annotated[Path | None, _file("users", "What is known of users.")] = None,
    campaigns: Annotated[Path | None, _file("campaigns", "Promotions and their targets.")] = None,
    relations: Annotated[Path | None, _file("relations", "Knowledge graph: head, relation, tail.")] = None,
    labels: Annotated[Path | None, _file("labels", "Labels of items, by task.")] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="FOLDER",
            help="What kuapin export --store wrote, into an empty database.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[Format, typer.Option("--format", help="Whose layout the files have.")] = Format.AUTO,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Read, check and store tables: Parquet, CSV or JSON Lines, also gzipped. All of them, or none where one is wrong.

    --format complete-journey needs no file: it takes the installed package. A file that was imported before
    changes nothing.
    """
    files = {
        "items": items,
        "interactions": interactions,
        "users": users,
        "campaigns": campaigns,
        "relations": relations,
        "labels": labels,
    }
    given = {table: path for table, path in files.items() if path is not None}
    if store is not None:
        if given:
            raise InputError("--store is read alone. Import the tables in a second step.")
        _import_store(folder, store, as_json=as_json)
        return
    if not given and source is not Format.COMPLETE_JOURNEY:
        raise InputError("kuapin import needs at least one file, for example --items FILE.")
    shop = open_shop(folder)
    report = shop.import_files(**given, format=source.value, progress=progress(quiet=quiet or as_json))
    if as_json:
        say_json(_plain(report))
        return
    for table, change in report.changes.items():
        say(f"{table}: {change.added:,} added, {change.replaced:,} replaced, {change.unchanged:,} unchanged")
    for name in report.already:
        say(f"{name}: imported before, nothing to do")
    say_faults(report.validation.faults)
    if not quiet:
        remark(f"Next: kuapin {_next(folder)} {folder}", quiet=False)


def _next(folder: Path) -> str:
    try:
        return "train" if releases_of(folder).live() is None else "refresh"
    except ModelFolderError:  # whoever trains or refreshes is told
        return "train"


def _import_store(folder: Path, store: Path, *, as_json: bool) -> None:
    shop = open_shop(folder)
    from kuapin.pipeline.export import import_store

    rows = import_store(shop, store)
    if as_json:
        say_json({"rows": rows})
    else:
        say(", ".join(f"{table} {counted(n, 'row')}" for table, n in rows.items()))


def _plain(report: "ImportReport") -> dict[str, object]:
    return {
        "format": report.format,
        "snapshot": report.snapshot,
        "seconds": round(report.seconds, 3),
        "changes": {
            table: {"added": change.added, "replaced": change.replaced, "unchanged": change.unchanged}
            for table, change in report.changes.items()
        },
        "already": list(report.already),
        "left_out": report.validation.left_out,
        "faults": [plain_fault(fault) for fault in report.validation.faults],
    }
