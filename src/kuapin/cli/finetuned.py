"""The tables that ``kuapin finetune`` ends with."""

from typing import TYPE_CHECKING

from kuapin.cli.output import say, say_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kuapin.evaluation.bootstrap import Interval
    from kuapin.finetuning.settings import FinetuningConfig
    from kuapin.pipeline.encoder_audit import EncoderAudit
    from kuapin.pipeline.finetune import Finetuned
    from kuapin.pipeline.text_zero_shot import Opening


def say_finetuned(tuned: "Finetuned", config: "FinetuningConfig") -> None:
    """What training did, what it measured, what lists became, and what the encoder carries.

    Args:
        tuned: the result.
        config: of the run.
    """
    from kuapin.counts import counted
    from kuapin.names import shortened
    from kuapin.pipeline.text_zero_shot import LEAST_TEST_USERS

    outcome = tuned.adapted.outcome
    early = f" of {outcome.planned:,}" if outcome.steps < outcome.planned else ""
    trained = (
        f"{outcome.steps:,}{early} steps on {counted(tuned.adapted.examples, 'example')}, "
        f"{outcome.trained:,} parameters trained, {outcome.seconds_per_step:.2g} s a step."
    )
    say(f"{tuned.name}: {trained if outcome.planned else 'no training, what its settings put in place alone.'}")
    if tuned.adapted.learnt_from:
        say(tuned.adapted.learnt_from)
    say("")
    say(f"On {counted(tuned.adapted.held_out, 'held-out example')}, before and after training:")
    names = list(outcome.after.values)
    say_table(
        {
            "metric": names,
            "before": [f"{outcome.before.values[name]:.4g}" for name in names],
            "after": [f"{outcome.after.values[name]:.4g}" for name in names],
            "change, 95 % interval": [_ends(tuned.gains[name]) if name in tuned.gains else "" for name in names],
        },
        right=("before", "after"),
    )
    if tuned.ensemble:
        say("What all classifiers say on average: " + ", ".join(f"{k} {v:.4g}" for k, v in tuned.ensemble.items()))
    if tuned.openings or tuned.audit is not None:
        say("")
        say(f"Below, before is {tuned.compared_with}, which the shop has, and after is {tuned.name}.")
    new = [opening for opening in tuned.openings if opening.new]
    old = [opening for opening in tuned.openings if not opening.new]
    _say_openings("Text alone at the opening of a category that training saw nothing of:", new)
    _say_openings("Text alone at the opening of a category that training read, for users who were not in it:", old)
    if tuned.unasked:
        say("")
        sources = ", ".join(config.source_categories)
        why = f" Histories were read from the source categories alone ({sources})." if sources else ""
        say(f"Fewer than {LEAST_TEST_USERS} users could be asked about {shortened(tuned.unasked)}: not compared.{why}")
    if tuned.audit is not None:
        _say_audit(tuned.audit)


def verdict(tuned: "Finetuned", config: "FinetuningConfig") -> str:
    """What the comparison with the shop's encoder says, in one line, at the level that holds for all categories."""
    if _same_encoder(config):
        return f"{config.strategy} leaves the encoder as it was: of {config.objective} only the head is new."
    if tuned.audit is None:
        told = f"Not compared with {tuned.compared_with}, which the shop has (--no-measure): lists may be worse by it."
    elif not tuned.openings:
        told = (
            f"No category could be compared with {tuned.compared_with}, which the shop has: lists may be worse by it."
        )
    else:
        told = f"{_lists(tuned.openings)}."
    return told + _own_metric(tuned, config)


def _lists(openings: "Sequence[Opening]") -> str:
    from kuapin.names import shortened

    better = [f"{one.category} ({one.reason})" for one in openings if one.better]
    worse = [one.category for one in openings if one.worse]
    open_ = [one.category for one in openings if not (one.better or one.worse)]
    parts = [
        f"Lists by text get better in {shortened(better)}" if better else "No gain in lists by text could be shown"
    ]
    parts += [f"no difference could be told in {shortened(open_)}"] if open_ else []
    parts += [f"worse in {shortened(worse)}"] if worse else []
    return "; ".join(parts)


def _own_metric(tuned: "Finetuned", config: "FinetuningConfig") -> str:
    """That the metric by which checkpoints are chosen got worse, where that can be told."""
    from kuapin.finetuning.objectives.registry import OBJECTIVES

    kind = OBJECTIVES[config.objective]
    gain = tuned.gains.get(kind.metric)
    if gain is None or (gain.high >= 0 if kind.greater_is_better else gain.low <= 0):
        return ""
    return f" {kind.metric} of {kind.name} itself got worse: {_ends(gain)}."


def next_steps(tuned: "Finetuned", config: "FinetuningConfig", folder: "Path", *, live: bool, force: bool) -> list[str]:
    """What can be done with the result, in lines.

    Args:
        tuned: the result.
        config: of the run.
        folder: of the shop.
        live: whether the shop has a model that serves.
        force: whether what is served worse may move all the same.
    """
    lines = []
    if config.objective == "item-classification":
        lines.append(f"Next: kuapin label {folder} --suggest 50  # the items whose labels would teach it most")
    if _same_encoder(config):
        return lines
    gained = tuned.audit is None or any(one.better for one in tuned.openings)
    other = "" if gained or lines else "train with other settings, or "
    line = f'write backbone = "{tuned.name}" below [encoding] in {folder / "kuapin.toml"}'
    lines.append(f"{'Or:  ' if lines else 'Next:'} {other}{line}")
    if any(one.worse for one in tuned.openings) and not force and not live:
        return [*lines, f"      kuapin train {folder} --force"]
    how = "refresh" if live else "train"
    why = "a category that may be served worse keeps what it has" if live else "the vectors of both backbones are kept"
    return [*lines, f"      kuapin {how} {folder}  # {why}"]


def _same_encoder(config: "FinetuningConfig") -> bool:
    """Whether the new encoder gives the vectors of the one that training started from."""
    from kuapin.finetuning.objectives.registry import leaves_encoder

    return leaves_encoder(config) and config.first is None and config.pooling is None


def why_worse(opening: "Opening", *, live: bool, force: bool) -> str:
    """Why a category is not moved to the new encoder, and what becomes of it, in one line.

    Args:
        opening: of the category.
        live: whether the shop has a model that serves it.
        force: whether it may be moved all the same.
    """
    if force:
        then = "It may move all the same, as --force was given."
    elif live:
        then = "It keeps what it has, unless kuapin refresh or kuapin train is given --force."
    else:
        then = "kuapin train will not go by it, unless --force is given."
    return f"{opening.category} is served worse by the new encoder: {opening.reason}. {then}"


def _say_openings(title: str, openings: "Sequence[Opening]") -> None:
    from kuapin.evaluation import wording
    from kuapin.pipeline.text_zero_shot import DECIDES

    rows = [(opening, metric) for opening in openings for metric in opening.ratios]
    if not rows:
        return
    say("")
    say(title)
    say_table(
        {
            "category": [opening.category for opening, _ in rows],
            "users": [f"{len(opening.launch.test_users):,}" for opening, _ in rows],
            "metric": [wording.label(metric) for _, metric in rows],
            "before, 95 % interval": [_mean(metric, opening.before[metric]) for opening, metric in rows],
            "after, 95 % interval": [_mean(metric, opening.after[metric]) for opening, metric in rows],
            "after / before": [
                f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
                for ratio in (opening.ratios[metric] for opening, metric in rows)
            ],
            "gate": [
                opening.verdict.decision if opening.verdict is not None and metric == DECIDES else ""
                for opening, metric in rows
            ],
        },
        right=("users",),
        wrap=("category",),
    )


def _say_audit(audit: "EncoderAudit") -> None:
    """Nothing where the shop has too few titles to look at."""
    told = [*audit.swaps, *([] if audit.planted is None else [audit.planted])]
    if told:
        say("")
        say("What the encoder carries, by the ten nearest titles: kept when a word is put in another's place, and the")
        say(f"places of harmful titles planted among the others ({audit.planted_share:.1%} of all):")
        say_table(
            {
                "of": [f"{one.what} swapped" if one in audit.swaps else one.what for one in told],
                "titles": [f"{one.titles:,}" for one in told],
                "before": [f"{one.before.value:.1%}" for one in told],
                "after": [f"{one.after.value:.1%}" for one in told],
                "change, 95 % interval": [_ends(one.change) for one in told],
            },
            right=("titles", "before", "after"),
        )
    if audit.exposure:
        say("")
        say("Whose the ten nearest titles are:")
        say_table(
            {
                "group": [share.group for share in audit.exposure],
                "of the titles": [f"{share.items:.1%}" for share in audit.exposure],
                "before": [f"{share.before:.1%}" for share in audit.exposure],
                "after": [f"{share.after:.1%}" for share in audit.exposure],
            },
            right=("of the titles", "before", "after"),
        )


def _mean(metric: str, one: "Interval") -> str:
    from kuapin.evaluation import wording

    value, low, high = (wording.value(metric, end) for end in (one.value, one.low, one.high))
    return f"{value} [{low}, {high}]"


def _ends(one: "Interval") -> str:
    return f"{one.value:+.3g} [{one.low:+.3g}, {one.high:+.3g}]"
