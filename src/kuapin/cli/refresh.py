"""``kuapin refresh``: a new model from what is new, live where it is no worse."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kuapin.cli.output import (
    AsJson,
    Quiet,
    ShopFolder,
    open_shop,
    progress,
    remark,
    say,
    say_json,
    say_suspects,
    say_table,
)
from kuapin.counts import counted
from kuapin.errors import GateRefusedError

if TYPE_CHECKING:
    from kuapin.evaluation.gate import Verdict
    from kuapin.pipeline.refresh import Refreshed

_WORDS = {
    "passes": "passes",
    "loses": "negative transfer: keeps what it has",
    "undecided": "cannot be told: keeps what it has",
    "too few users": "too few users to tell any loss: keeps what it has",
}


def refresh(
    folder: ShopFolder,
    *,
    force: Annotated[
        bool,
        typer.Option("--force", help="Let the new model serve every category, whatever gate and finetune say."),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Train everything anew, where the live model could be gone on from.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Learn what was imported since, compare with the live model on the newest log, and publish what is no worse.

    Goes on from the live model where that is possible (refresh.warm in kuapin.toml), and trains anew where it is not.
    Made for a scheduler. Exit code 3: the gate refused, and the live model stays.
    """
    from kuapin.pipeline.refresh import refresh as refresh_shop

    shop = open_shop(folder)
    done = refresh_shop(shop, force=force, full=full, progress=progress(quiet=quiet or as_json))
    if as_json:
        say_json(_plain(done))
    elif done.nothing_new:
        say(
            f"Nothing was imported since {done.champion} was trained; it stays live. Settings that were changed since "
            f"count in: kuapin train {folder}"
        )
    elif done.refused_at is None:
        _say(done, folder, quiet=quiet)
    without = f"To replace it without comparing: kuapin train {folder}"
    if done.refused_at is not None:
        raise GateRefusedError(
            f"Nothing was imported or set since the gate refused at {done.refused_at}. {done.champion} stays live. "
            f"Import more log, or --force. {without}"
        )
    if done.release is None and not done.nothing_new:
        raise GateRefusedError(
            f"The gate refused: {_why_none(done, shop.config.gate.margin)}. {done.champion} stays live. "
            + ("Import more log, or --force." if done.unseen else without)
        )


def _say(done: "Refreshed", folder: Path, *, quiet: bool) -> None:
    say_table(
        {
            "drift": [moved.part for moved in done.drift],
            "index": [f"{moved.index:.2f}" for moved in done.drift],
            "moved": [moved.size for moved in done.drift],
            "what": [moved.told for moved in done.drift],
        },
        right=("index",),
        wrap=("what",),
    )
    say("")
    say_suspects(folder, done.suspects)
    say(f"Trained anew: {done.anew}." if done.anew else f"Went on from {done.champion}, whose ranker stays.")
    if done.encoder:
        say(f"The language model was tuned for what moved: backbones/{done.encoder} reads from now on.")
    if done.untuned:
        say(f"The language model stays as it is: {done.untuned}")
    _say_leak(done)
    say_table(_table(done), right=("users", "live", "new", "change", "95 % interval"), wrap=("verdict",))
    for name, why in done.held.items():
        say(f"{name} is held back from the encoder of the new model: {why}. It keeps what it has.")
    for name in done.new:
        say(f"{name} is new since {done.champion}: the new model serves it.")
    for name, stage in done.stages.items():
        now = "now" if name in done.passed else "best at hand"
        say(f"{name} opened lately, served by {stage.before}; {now}: {stage.now}.")
    if not isnan(done.shown_share):
        say(
            f"Of what was taken, the live model had shown {done.shown_share:.0%} to the same people before, as the "
            "impressions in the log say."
        )
    if not isnan(done.own_share):
        say(
            f"In {done.own_share:.0%} of its lists of ten the live model had something that was taken. People take "
            "what they are shown, so a model that shows other things is judged too low."
        )
    if done.release is not None:
        kept = len(done.kept)
        rest = f"; {counted(kept, 'category keeps what it has', 'categories keep what they have')}" if kept else ""
        say(f"{done.release} is live{rest}.")
        remark(f"To take it back: kuapin rollback {folder}", quiet=quiet)


def _say_leak(done: "Refreshed") -> None:
    """That the live model knows the answers, where it does: before the table, for it says less than it seems to."""
    if done.unseen or not done.verdicts:
        return
    why = f"Too few people came back since {done.champion} was trained; both were asked for the last part of the log"
    if done.cut is None:
        why = "The log has no times; both were asked for the end of every history"
    say(
        f"{why}. The live model has learnt those answers and looks far better than it is: of what does not pass, "
        "nothing can be told."
    )


def _table(done: "Refreshed") -> dict[str, list[str]]:
    verdicts = done.verdicts
    return {
        "category": [verdict.category for verdict in verdicts],
        "users": [f"{verdict.users:,}" for verdict in verdicts],
        "live": [f"{verdict.champion:.4f}" for verdict in verdicts],
        "new": [f"{verdict.challenger:.4f}" for verdict in verdicts],
        "change": ["–" if isnan(verdict.change) else f"{verdict.change:+.0%}" for verdict in verdicts],
        "95 % interval": ["–" if isnan(one.low) else f"{one.low:+.0%} to {one.high:+.0%}" for one in verdicts],
        "verdict": [_told(verdict, done) for verdict in verdicts],
    }


def _why_none(done: "Refreshed", margin: float) -> str:
    """Why nothing moves to the new model."""
    passing = {verdict.category for verdict in done.verdicts if verdict.passes}
    if passing:
        held = [name for name in done.held if name in passing] or done.held  # a whole shop passes by no category's name
        return f"what passes would be served worse by the new encoder ({', '.join(held)})"
    return f"in no category a loss of {margin:.0%} could be ruled out"


def _told(verdict: "Verdict", done: "Refreshed") -> str:
    words, leaked = _WORDS[verdict.decision], verdict.decision == "undecided" and not done.unseen
    if leaked:
        words = "cannot be told, for the live model knows the answers: keeps what it has"
    if verdict.passes and verdict.category not in done.passed:
        words += ", but is held back: keeps what it has"
    if done.forced and not verdict.passes:
        words = words.replace("keeps what it has", "forced")
    if leaked or verdict.decision == "too few users":
        return words
    if isnan(verdict.visible):
        return f"{words}; the live model found nothing that could be lost"
    if verdict.passes:
        words = f"{words}: no loss above {max(0.0, -verdict.least):.0%}"
    elif verdict.decision == "undecided" and verdict.least > -1:
        words = f"{words}; only a loss above {max(0.0, -verdict.least):.1%} is ruled out"
    return f"{words}; so many users show a loss of {verdict.visible:.0%}"


def _plain(done: "Refreshed") -> dict[str, object]:
    from dataclasses import asdict

    def known(values: dict[str, object]) -> dict[str, object]:
        return {name: None if isinstance(v, float) and isnan(v) else v for name, v in values.items()}

    return {
        "champion": done.champion,
        "release": done.release,
        "nothing_new": done.nothing_new,
        "refused_at": done.refused_at,
        "anew": done.anew,
        "encoder": done.encoder,
        "untuned": done.untuned,
        "new": list(done.new),
        "passed": list(done.passed),
        "kept": list(done.kept),
        "held": dict(done.held),
        "verdicts": [known(asdict(verdict)) for verdict in done.verdicts],
        "drift": [asdict(moved) | {"size": moved.size} for moved in done.drift],
        "stages": {name: asdict(stage) for name, stage in done.stages.items()},
        "unseen": done.unseen,
        "not_learnt_from": dict(done.suspects),
        "own_share": None if isnan(done.own_share) else done.own_share,
        "shown_share": None if isnan(done.shown_share) else done.shown_share,
    }
