"""``kuapin label``: which labels would teach most, which the classifier is sure of, and reading them back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kuapin.cli.output import AsJson, Quiet, ShopFolder, open_shop, progress, remark, say, say_json
from kuapin.counts import counted
from kuapin.errors import InputError

if TYPE_CHECKING:
    from kuapin.workspace import Shop


def label(
    folder: ShopFolder,
    *,
    suggest: Annotated[
        int | None,
        typer.Option(
            "--suggest", metavar="N", min=1, help="Write the N items worth labelling most.", show_default=False
        ),
    ] = None,
    pseudo: Annotated[
        float | None,
        typer.Option(
            "--pseudo",
            metavar="P",
            min=0.5,
            max=1.0,
            help="Write the labels that the classifier gives at least this probability.",
            show_default=False,
        ),
    ] = None,
    read: Annotated[
        Path | None,
        typer.Option(
            "--read", metavar="FILE", help="Read a filled file back; empty labels stay open.", show_default=False
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Classifier in SHOP/backbones. (the newest)", show_default=False),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Written to: .csv, .parquet or .jsonl.")
    ] = Path("labels.csv"),
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Ask for the labels that would teach the tuned classifier most, and read the answers back."""
    if sum(one is not None for one in (suggest, pseudo, read)) != 1:
        raise InputError("kuapin label needs one of --suggest N, --pseudo P and --read FILE.")
    shop = open_shop(folder)
    if read is not None:
        _read_back(shop, read, quiet=quiet, as_json=as_json)
        return
    from kuapin.cli.tables import check_suffix, write_table
    from kuapin.pipeline.label import check_replaceable, pseudo_labelled, suggested

    check_suffix(output)
    check_replaceable(shop, output)
    sheet = pseudo_labelled(shop, pseudo, model) if pseudo is not None else suggested(shop, suggest or 1, model)
    write_table(sheet.rows, output)
    if as_json:
        say_json({"model": sheet.model, "task": sheet.task, "items": sheet.rows.height, "file": str(output)})
        return
    say(f"{counted(sheet.rows.height, 'item')} of {sheet.task!r} by {sheet.model}, written to {output}")
    step = "Fill the column label" if suggest is not None else "Look through it"
    remark(f"Next: {step}, then: kuapin label {folder} --read {output}", quiet=quiet)


def _read_back(shop: "Shop", file: Path, *, quiet: bool, as_json: bool) -> None:
    import tempfile

    from kuapin import columns as c
    from kuapin.data.readers import read_table
    from kuapin.pipeline.label import answers, new_labels

    table = read_table(file)
    missing = [name for name in (c.ITEM_ID, c.TASK, c.LABEL) if name not in table.columns]
    if missing:
        raise InputError(f"{file} has no column {missing[0]}; a sheet of kuapin label has item_id, task and label.")
    kept = answers(table)
    if not kept.height:
        raise InputError(f"{file}: no row has a label. Fill the column label of some.")
    new = new_labels(shop, kept)
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / f"{file.stem}.parquet"
        kept.write_parquet(path)
        shop.import_files(labels=path, progress=progress(quiet=quiet or as_json))
    result = {"file": str(file), "labels": kept.height, "left_open": table.height - kept.height, "new_labels": new}
    if as_json:
        say_json(result)
        return
    say(f"{counted(kept.height, 'label')} read from {file}, {table.height - kept.height:,} left open")
    for task, names in new.items():
        said = f"New labels of {task!r}, which no item had before: {', '.join(names)}"
        remark(f"{said}. If one is a typo, correct {file} and read it again.", quiet=quiet)
