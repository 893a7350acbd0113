"""``kuapin demo``: the whole story on real data."""

from pathlib import Path
from typing import Annotated

import typer

from kuapin.cli.output import Quiet, progress


def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the demo's shop is made.")] = Path(
        "demo-shop"
    ),
    *,
    quiet: Quiet = False,
) -> None:
    """Import a year of a grocery chain, train, evaluate, recommend and write a report; at most ten minutes."""
    from kuapin.pipeline.demo import demo as run_demo

    run_demo(folder, progress(quiet=quiet))
