"""``kuapin train``: a model from the shop's tables."""

from typing import Annotated

import typer

from kuapin.cli.measures import told
from kuapin.cli.output import AsJson, Quiet, ShopFolder, open_shop, progress, remark, say, say_json, say_suspects


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
    if measured:
        first = f"kuapin evaluate {folder}  # does it help? against every simple method, with intervals"
    else:
        first = f"kuapin import {folder} --interactions FILE  # more of the log, until training can measure itself"
    remark(f"Next: {first}", quiet=quiet)
    remark(f"      kuapin recommend {folder} --user USER_ID --explain  # look at a list", quiet=quiet)
