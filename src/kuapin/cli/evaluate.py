"""``kuapin evaluate``: how good the recommendations are, against simple means."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from kuapin.cli.output import Quiet, ShopFolder, open_shop, progress, remark, say, say_table
from kuapin.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from kuapin.evaluation.report import Protocol as Hidden


class Protocol(StrEnum):
    """What is hidden and asked for again."""

    TEMPORAL = "temporal"
    LAUNCH = "launch"
    LEAVE_ONE_OUT = "leave-one-out"
    OFF_POLICY = "off-policy"


class Success(StrEnum):
    """What may follow an impression."""

    CLICK = "click"
    CART = "cart"
    PURCHASE = "purchase"


def evaluate(
    folder: ShopFolder,
    *,
    protocol: Annotated[
        Protocol,
        typer.Option(
            "--protocol",
            help="temporal: everything after one cut in time; launch: a category, as if it opened; "
            "leave-one-out: each user's last item; off-policy: what another release would have earned, from "
            "impressions with propensities.",
        ),
    ] = Protocol.TEMPORAL,
    category: Annotated[
        str | None,
        typer.Option(
            "--category",
            help="The category that opens (with --protocol launch), of any level: Beauty, or 'Beauty > Skin care'. "
            "Without it, each of the largest.",
            show_default=False,
        ),
    ] = None,
    shots: Annotated[
        str, typer.Option("--shots", metavar="LIST", help="Shares of training users seen in it, with commas.")
    ] = "0,0.01,0.1,1",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many random draws of users are pooled.")] = 1,
    release: Annotated[
        str | None,
        typer.Option("--release", help="With off-policy: which release. Without it, the live one.", show_default=False),
    ] = None,
    success: Annotated[
        Success | None,
        typer.Option(
            "--success",
            help="With off-policy: what counts. Without it, as exploration.event of kuapin.toml says.",
            show_default=False,
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the result as JSON; - prints it.", show_default=False),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure the ranker beside the baselines, over the full catalogue, with 95 % intervals."""
    if protocol is not Protocol.LAUNCH and category is not None:
        raise InputError(f"--category belongs to --protocol launch; --protocol {protocol} measures all categories.")
    if protocol is Protocol.OFF_POLICY:
        _off_policy(folder, release, success, json_file, quiet=quiet)
        return
    if release is not None or success is not None:
        raise InputError(f"--release and --success belong to --protocol off-policy; {protocol} came. Leave them out.")
    levels = _shot_levels(shots)
    from kuapin.cli.comparisons import say_report
    from kuapin.durable import write_durably
    from kuapin.evaluation.report import to_json, write_report
    from kuapin.pipeline.evaluate import evaluate as evaluate_shop

    to_stdout = json_file is not None and str(json_file) == "-"
    shop = open_shop(folder)
    report = evaluate_shop(
        shop,
        protocol=cast("Hidden", protocol.value),
        category=category,
        shots=levels,
        seeds=seeds,
        progress=progress(quiet=quiet or to_stdout),
    )
    if to_stdout:
        typer.echo(to_json(report))
        return
    say_report(report)
    try:
        say(f"Report: {write_report(report, shop.reports, f'evaluate-{protocol}')}")
    except MissingExtraError as error:
        remark(f"No page was written. {error}", quiet=quiet)
    if json_file is not None:
        write_durably(json_file, f"{to_json(report)}\n".encode())
        remark(f"Wrote {json_file}", quiet=quiet)


def _off_policy(
    folder: Path, release: str | None, success: Success | None, json_file: Path | None, *, quiet: bool
) -> None:
    import json
    from dataclasses import asdict

    from kuapin.durable import write_durably
    from kuapin.pipeline.off_policy import evaluate_off_policy

    to_stdout = json_file is not None and str(json_file) == "-"
    found = evaluate_off_policy(
        open_shop(folder),
        version=release,
        event=None if success is None else success.value,
        progress=progress(quiet=quiet or to_stdout),
    )
    text = json.dumps(asdict(found), indent=1)
    if to_stdout:
        typer.echo(text)
        return
    rows = {
        "as it was": found.logged,
        "IPS": found.ips,
        "SNIPS": found.snips,
        "doubly robust": found.dr,
        "covered": found.covered,
    }
    say(f"{found.choices:,} places that tried; they tell as much as {found.effective:,.0f} of the release's own")
    say_table(
        {
            "success of a place": list(rows),
            "value": [f"{one.value:.4f}" for one in rows.values()],
            "95 % interval": [f"{one.low:.4f} to {one.high:.4f}" for one in rows.values()],
        },
        right=("value",),
    )
    if json_file is not None:
        write_durably(json_file, f"{text}\n".encode())
        remark(f"Wrote {json_file}", quiet=quiet)


def _shot_levels(text: str) -> tuple[float, ...]:
    try:
        levels = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--shots is {text!r}; give shares with commas, for example 0,0.01,0.1,1.") from error
    if not all(0 <= level <= 1 for level in levels):
        raise InputError(f"--shots is {text!r}; shares lie between 0 and 1.")
    return tuple(sorted(set(levels)))
