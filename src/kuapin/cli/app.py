"""``kuapin``: its verbs, in the groups that ``kuapin --help`` shows.

Verb modules import what they work with inside the function, so that ``--help`` answers at once.
"""

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

import kuapin
from kuapin.cli.demo import demo
from kuapin.cli.evaluate import evaluate
from kuapin.cli.export import export
from kuapin.cli.failures import run
from kuapin.cli.finetune import finetune
from kuapin.cli.forget import forget
from kuapin.cli.import_ import import_tables
from kuapin.cli.init import init
from kuapin.cli.keys import keys
from kuapin.cli.label import label
from kuapin.cli.models import models
from kuapin.cli.onboard import onboard
from kuapin.cli.publish import publish
from kuapin.cli.recommend import recommend
from kuapin.cli.refresh import refresh
from kuapin.cli.review import review
from kuapin.cli.rollback import rollback
from kuapin.cli.rules import rules
from kuapin.cli.serve import serve
from kuapin.cli.train import train
from kuapin.cli.validate import validate

VERBS: dict[str, dict[str, Callable[..., None]]] = {
    "First look": {"demo": demo},
    "Data": {"init": init, "import": import_tables, "validate": validate, "export": export, "forget": forget},
    "Model": {"finetune": finetune, "label": label, "train": train, "evaluate": evaluate, "onboard": onboard},
    "Use": {"recommend": recommend, "rules": rules, "review": review, "serve": serve, "keys": keys},
    "Releases": {"refresh": refresh, "models": models, "publish": publish, "rollback": rollback},
}
"""Help panel → verb → its function, in the order of the help."""

app = typer.Typer(name="kuapin", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
for _panel, _verbs in VERBS.items():
    for _name, _function in _verbs.items():
        app.command(_name, rich_help_panel=_panel)(_function)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Recommendations across categories, for categories that have just opened.

    Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 refused by the gate, 4 another
    process is at work there, 130 interrupted.
    """
    if version:
        typer.echo(f"kuapin {kuapin.__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line that the process was started with, and leave with its exit code."""
    # LightGBM's threads otherwise spin while they wait for each other: on a busy machine that is most of its time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(app, sys.argv[1:]))
