"""The tables that ``kuapin finetune`` ends with."""

from typing import TYPE_CHECKING

from kuapin.cli.output import say, say_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kuapin.evaluation.bootstrap import Interval
    from kuapin.pipeline.encoder_audit import EncoderAudit
    from kuapin.pipeline.finetune import Finetuned
    from kuapin.pipeline.text_zero_shot import Opening


def say_finetuned(tuned: "Finetuned") -> None:
    """What training did, what it measured, what lists became, and what the encoder carries."""
    from kuapin.counts import counted
    from kuapin.pipeline.text_zero_shot import LEAST_TEST_USERS

    outcome = tuned.adapted.outcome
    early = f" of {outcome.planned:,}" if outcome.steps < outcome.planned else ""
    trained = (
        f"{outcome.steps:,}{early} steps on {counted(tuned.adapted.examples, 'example')}, "
        f"{outcome.trained:,} parameters trained, {outcome.seconds_per_step:.2g} s a step."
    )
    say(f"{tuned.name}: {trained if outcome.planned else 'no training, what its settings put in place alone.'}")
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
        say(f"Fewer than {LEAST_TEST_USERS} users could be asked about {', '.join(tuned.unasked)}: not compared.")
    if tuned.audit is not None:
        _say_audit(tuned.audit)


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
