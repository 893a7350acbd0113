"""``kuapin recommend``: one user's list, or a nightly batch."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kuapin import columns as c
from kuapin.cli.output import AsJson, Quiet, ShopFolder, open_shop, remark, say_json, say_table
from kuapin.counts import counted
from kuapin.errors import InputError

if TYPE_CHECKING:
    import polars as pl

    from kuapin.model import Model

SURFACES = ("products", "bundles", "similar", "brands", "campaigns", "trends", "profile", "home")
"""Told in the help, for which the surfaces themselves need not be read."""


def recommend(
    folder: ShopFolder,
    *,
    user: Annotated[str | None, typer.Option("--user", help="Id of one user.", show_default=False)] = None,
    users: Annotated[
        Path | None,
        typer.Option(
            "--users",
            metavar="FILE",
            help="Many users: one id a line, or Parquet / JSON Lines / CSV with user_id.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to .parquet, .csv or .jsonl.", show_default=False),
    ] = None,
    surface: Annotated[str, typer.Option("--surface", help=f"What is asked for: {', '.join(SURFACES)}.")] = "products",
    item: Annotated[
        list[str] | None,
        typer.Option(
            "--item",
            help="Bundles: an item of the basket to complete; repeat. Similar: what is to be replaced.",
            show_default=False,
        ),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            "--category",
            help="Only this top-level category, not a path below one; repeat for several.",
            show_default=False,
        ),
    ] = None,
    per_category: Annotated[
        int | None,
        typer.Option("--per-category", min=1, help="At most so many of one top-level category.", show_default=False),
    ] = None,
    discovery: Annotated[
        float | None,
        typer.Option(
            "--discovery",
            metavar="D",
            min=-1,
            max=1,
            help="From -1, more of the same, to 1, what is new; by default as diversity.discovery of kuapin.toml says.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[
        int, typer.Option("-n", min=1, help="How many per user; of profile, how many statements of each kind.")
    ] = 10,
    explain: Annotated[bool, typer.Option("--explain", help="Say why, with the evidence.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Recommend to one user, or to all users of a file, with the live release."""
    if quiet:
        warnings.simplefilter("ignore", UserWarning)
    if item:
        _check_item(item, surface, of_many=users is not None, shaped=per_category is not None or discovery is not None)
    if (user is None) == (users is None) and not (item and users is None):
        raise InputError("kuapin recommend needs either --user ID or --users FILE, and not both.")
    if users is not None and output is None:
        raise InputError("kuapin recommend --users FILE needs --output FILE.parquet for its result.")
    from kuapin.cli.tables import check_suffix, read_user_ids, write_table

    if output is not None:
        check_suffix(output)
    wanted = [user] if user is not None else read_user_ids(users) if users is not None else []
    shop = open_shop(folder)
    from kuapin.model import Model

    model = Model.load(shop)
    if item:
        table = _of_item(model, item, surface, n, category or None, user=user, explain=explain)
    else:
        table = model.recommend(
            wanted,
            n=n,
            categories=category or None,
            surface=surface,
            explain=explain,
            per_category=per_category,
            discovery=discovery,
        )
    strangers = model.strangers(wanted).len()
    if strangers and not item and table.height:
        remark(_of_strangers(strangers, wanted, surface), quiet=quiet)
    last = model.last_met(user) if surface == "similar" and user is not None and not item else None
    if last is not None and table.height:
        remark(f"In place of what {user} met last: {_called(model, last)}", quiet=quiet)
    if output is not None:
        write_table(table, output)
        remark(f"Wrote {counted(table.height, 'row')} for {counted(len(wanted), 'user')} to {output}", quiet=quiet)
    if as_json:
        batch = {"output": str(output), "rows": table.height, "users": len(wanted), "users_without_history": strangers}
        say_json(batch if output else table.to_dicts())
    elif output is None:
        _show(table, model, explain=explain)


def _check_item(item: list[str], surface: str, *, of_many: bool, shaped: bool) -> None:
    if surface not in ("bundles", "similar") or of_many:
        raise InputError("--item is for --surface bundles or similar, and for one list. Leave it away, or ask for one.")
    if shaped:
        raise InputError("--per-category and --discovery are for --surface products. Leave them away.")
    if surface == "similar" and len(item) > 1:
        raise InputError("--surface similar is asked about one --item. Leave the others away.")


def _of_item(
    model: "Model",
    item: list[str],
    surface: str,
    n: int,
    categories: list[str] | None,
    *,
    user: str | None,
    explain: bool,
) -> "pl.DataFrame":
    if surface == "similar":
        return model.similar(item[0], n, categories, user=user, explain=explain)
    return model.bundle(item, n, categories, user=user, explain=explain)


def _called(model: "Model", item: str) -> str:
    title = model.title("item", item)
    return item if title is None else f"{item} ({title})"


def _of_strangers(strangers: int, wanted: list[str], surface: str) -> str:
    why = "no history in the items of this release"
    if surface in ("similar", "profile"):  # these say something of a history, or nothing
        return f"{counted(strangers, 'user')} of {len(wanted):,} without a row: {why}."
    if surface == "campaigns":
        return (
            f"{counted(strangers, 'user')} of {len(wanted):,} with {why}: only offers that were sent to nobody by name."
        )
    if len(wanted) == 1:
        return f"User {wanted[0]!r} has {why}: the list is what is popular."
    have, they = ("has", "that one gets") if strangers == 1 else ("have", "they get")
    return f"{strangers:,} of {len(wanted):,} users {have} {why}: {they} what is popular."


def _show(table: "pl.DataFrame", model: "Model", *, explain: bool) -> None:
    """For people: what they know an item by beside its id, as far as the shop says it."""
    if not (table[c.KIND] == "item").all() or c.GROWTH in table.columns or table[c.SURFACE].n_unique() > 1:
        _show_others(table, model, explain=explain)
        return
    known = model.describe(table[c.TARGET_ID])
    named = [name for name in (c.TITLE, c.BRAND, c.CATEGORY) if known[name].null_count() < known.height]
    columns = [table[c.RANK], *(known[name] for name in (c.ITEM_ID, *named)), table[c.SCORE]]
    columns += [table[c.REASON]] if explain else []
    cells = {column.name: ["" if cell is None else _cell(cell) for cell in column] for column in columns}
    say_table(cells, right=(c.RANK, c.SCORE), cut=named, wrap=(c.REASON,) if explain else ())


def _show_others(table: "pl.DataFrame", model: "Model", *, explain: bool) -> None:
    """Rows that are not, or not all, items, or that say how they grew."""
    import polars as pl

    shown = table.select(c.KIND, c.TARGET_ID, c.USER_ID).iter_rows()
    titles = [model.title(kind, target, user) for kind, target, user in shown]
    named = [c.TITLE] if any(titles) else []
    whole = table.with_columns(pl.Series(c.TITLE, titles, dtype=pl.String))
    columns = [c.SURFACE, c.RANK, c.KIND, c.TARGET_ID, *named, c.SCORE]
    columns += [*(name for name in c.GROWN if name in table.columns), *([c.REASON] if explain else [])]
    cells = {name: ["" if cell is None else _cell(cell) for cell in whole[name]] for name in columns}
    cut = (c.TARGET_ID, *named)
    say_table(cells, right=(c.RANK, c.SCORE, *c.GROWN), cut=cut, wrap=(c.REASON,) if explain else ())


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
