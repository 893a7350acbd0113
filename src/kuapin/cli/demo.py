"""``kuapin demo``: the whole story on real data."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kuapin.cli.output import Quiet, progress, remark, say, say_table

if TYPE_CHECKING:
    from kuapin.evaluation.report import Example


def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the demo's shop is made.")] = Path(
        "demo-shop"
    ),
    *,
    quiet: Quiet = False,
) -> None:
    """Import a year of a grocery chain, train, evaluate, recommend and write a report; at most ten minutes."""
    from kuapin.cli.comparisons import say_report
    from kuapin.pipeline.demo import CAVEAT, DESCRIPTION
    from kuapin.pipeline.demo import demo as run_demo

    remark(DESCRIPTION, quiet=quiet)
    remark(CAVEAT, quiet=quiet)
    results = os.environ.get("KUAPIN_RESULTS")
    commit = os.environ.get("KUAPIN_COMMIT") or "unknown"
    done = run_demo(folder, progress(quiet=quiet), Path(results) if results else None, commit)
    say_report(done.report)
    for example in done.report.examples:
        _say_example(example)
    say("")
    say(f"Report: {done.page}")
    say(f"It took {done.seconds:.0f} s and {done.peak_mb:,.0f} MB at most.")
    say("")
    say("Next:")
    for command in done.report.commands:
        say(f"  {command.command}    # {command.does}")


def _say_example(example: "Example") -> None:
    say("")
    say(f"{example.user}, latest: {', '.join(item.title for item in example.history)}")
    rows = example.recommended
    say_table(
        {
            "": [str(place + 1) for place in range(len(rows))],
            "next": [item.title for item in rows],
            "department": [item.category for item in rows],
            "because": [item.reason for item in rows],
        },
        right=("",),
    )
