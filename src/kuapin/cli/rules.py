"""``kuapin rules``: the rules of a shop, and what each changes in one user's list."""

from typing import TYPE_CHECKING, Annotated

import typer

from kuapin import columns as c
from kuapin.cli.output import AsJson, ShopFolder, open_shop, remark, say, say_json, say_table
from kuapin.counts import counted

if TYPE_CHECKING:
    from kuapin.model import Model
    from kuapin.surfaces.rule_trial import Trial


def rules(
    folder: ShopFolder,
    *,
    user: Annotated[
        str | None,
        typer.Option("--try", metavar="USER", help="Show what each rule changes in this list.", show_default=False),
    ] = None,
    surface: Annotated[
        str, typer.Option("--surface", help="With --try: whose answer is shown, as in kuapin recommend.")
    ] = "products",
    n: Annotated[int, typer.Option("-n", min=1, help="Length of the list.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Check SHOP/rules.toml and list its rules; with --try, show what each of them changes for one user."""
    shop = open_shop(folder)
    from kuapin.model import Model
    from kuapin.ranking.rules import FILE

    model = Model.load(shop)
    bound = model.reranker.rules.bound
    if not bound:
        remark(f"{shop.path / FILE} has no rules. docs/rules.md says how to write some.", quiet=False)
    trial = None if user is None else model.try_rules(user, n, surface=surface)
    if as_json:
        listed = [
            {"rule": one.rule.name, "kind": one.rule.kind, "line": one.rule.line, "items": int(one.items.sum())}
            for one in bound
        ]
        tried = None if trial is None else [one._asdict() for one in trial.changes]
        say_json({"rules": listed, "user": user, "changes": tried})
    elif trial is None:
        _show(model)
    else:
        _show_trial(trial, model)


def _show(model: "Model") -> None:
    bound = model.reranker.rules.bound
    if bound:
        cells = {
            "line": [str(one.rule.line) for one in bound],
            "kind": [one.rule.kind for one in bound],
            "rule": [one.rule.name for one in bound],
            "items": [f"{int(one.items.sum()):,}" for one in bound],
            "users": ["all" if one.users is None else f"{int(one.users.sum()):,}" for one in bound],
        }
        say_table(cells, right=("line", "items", "users"), wrap=("rule",))


def _show_trial(trial: "Trial", model: "Model") -> None:
    for change in trial.changes:
        came, went, moved = change.came, change.went, change.moved
        said = [f"{counted(len(came), 'item')} came"] if came else []
        said += [f"{counted(len(went), 'item')} went"] if went else []
        said += [f"{counted(len(moved), 'item')} moved"] if moved else []
        say(f"line {change.line}, {change.kind} “{change.rule}”: {', '.join(said) or 'changes nothing in this list'}")
        for mark, items in (("+", came), ("-", went)):
            for item in items:
                say(f"  {mark} {_called(model, item)}")
        for item, before, after in moved:
            say(f"  {before} → {after}  {_called(model, item)}")
    cells = {
        c.RANK: [str(rank) for rank in trial.table[c.RANK]],
        c.TARGET_ID: trial.table[c.TARGET_ID].to_list(),
        c.TITLE: [
            model.title(kind, target, who) or ""
            for kind, target, who in trial.table.select(c.KIND, c.TARGET_ID, c.USER_ID).iter_rows()
        ],
        c.REASON: trial.table[c.REASON].to_list(),
    }
    say_table(cells, right=(c.RANK,), cut=(c.TITLE,), wrap=(c.REASON,))


def _called(model: "Model", item: str) -> str:
    title = model.title("item", item)
    return item if title is None else f"{item}  {title}"
