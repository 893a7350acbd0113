"""``kuapin train``: a model from the shop's tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kuapin.cli.measures import told
from kuapin.cli.output import AsJson, Quiet, ShopFolder, open_shop, progress, remark, say, say_json, say_suspects
from kuapin.counts import counted

if TYPE_CHECKING:
    from kuapin.workspace import Shop


def train(
    folder: ShopFolder,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A first look: less training, same steps.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Train with a tuned encoder that serves a category worse, now and later.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Encode the items' texts, fit all sources, train the ranker on the end of the log, and publish the release.

    Exit code 3: refused, because a tuned encoder serves a category worse.
    """
    from kuapin.model_folder import Releases
    from kuapin.pipeline.suspects_report import read_suspects
    from kuapin.pipeline.train import train as train_shop

    shop = open_shop(folder)
    train_shop(shop, quick=quick, force=force, progress=progress(quiet=quiet or as_json))
    live = next(release for release in Releases(shop.models, shop.config.releases).versions() if release.live)
    suspects = read_suspects(shop)
    if as_json:
        say_json(
            {"version": live.version, "bytes": live.bytes, "metrics": dict(live.metrics), "not_learnt_from": suspects}
        )
        return
    measured = told(live.metrics)
    say(f"{live.version} is live. {measured or live.note}")
    if suspects is not None:
        say_suspects(folder, suspects)
    if quiet:
        return
    if kept_safe := _kept_safe(shop, shop.models / live.version):
        remark(f"{kept_safe} See them: kuapin review {folder}", quiet=False)
    if measured:
        first = f"kuapin evaluate {folder}  # does it help? against every simple method, with intervals"
    else:
        first = f"kuapin import {folder} --interactions FILE  # more of the log, until training can measure itself"
    remark(f"Next: {first}", quiet=False)
    remark(f"      kuapin recommend {folder} --user USER_ID --explain  # look at a list", quiet=False)


def _kept_safe(shop: "Shop", release: Path) -> str:
    """How many items safety keeps out or puts lower, on which nobody decided; empty: none."""
    from kuapin.list_layer import open_decisions
    from kuapin.ranking.safety import BLOCK, DECISION, PENALISE, queue

    waiting = queue(open_decisions(shop, release))[DECISION]
    blocked, lower = (int((waiting == decision).sum()) for decision in (BLOCK, PENALISE))
    if blocked + lower == 0:
        return ""
    return f"Safety keeps {counted(blocked, 'item')} out of lists and puts {lower:,} lower."
