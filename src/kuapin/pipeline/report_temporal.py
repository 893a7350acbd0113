"""The live shop, measured over time, as parts of a report."""

import datetime as dt
from collections.abc import Sequence

import numpy as np

from kuapin.evaluation.ranked import ItemFacts, Ranked
from kuapin.evaluation.report import Mix, Trade
from kuapin.evaluation.splits import Temporal, temporal
from kuapin.pipeline.baselines import Baseline
from kuapin.pipeline.report_exposure import exposures
from kuapin.pipeline.report_lists import cut, rows
from kuapin.pipeline.report_live import rank_live
from kuapin.pipeline.report_material import Material, Stopwatch
from kuapin.pipeline.report_pool import MODEL
from kuapin.pipeline.report_questions import SHOWN, Measured, Outcomes, mixes_of
from kuapin.pipeline.report_trade import trade_off
from kuapin.progress import SILENT, Progress
from kuapin.ranking.recommender import Recommender
from kuapin.retrieval.selection import without_met

DISCOVERY = "New to them, known items left out"
ALL = "All next choices"
REPEATS = "Chosen before"
NEW = "New to them, known items ranked too"
_WORDING = {
    DISCOVERY: "What will they choose that they had never chosen? Every method leaves known items out of its lists.",
    ALL: "What will they choose after the cut, things chosen before included?",
    REPEATS: "The same lists, judged by what they choose again.",
    NEW: "The same lists, by what they choose for the first time. No verdict: known items take places by design.",
}


def measure_temporal(
    material: Material,
    made: Sequence[Baseline],
    *,
    seeds: int,
    max_test_users: int,
    watch: Stopwatch,
    progress: Progress = SILENT,
) -> Measured:
    """Everything after one cut in time is hidden and asked for, all categories at once.

    The methods are fitted once, on what lies before the cut; a further seed draws other users to ask.

    Raises:
        InputError: the log has no times, or nobody can be asked.
    """
    splits = [temporal(material.dataset, max_test_users=max_test_users, seed=seed) for seed in material.seeds(seeds)]
    first, catalogue = splits[0], material.dataset.catalogue
    users = np.unique(np.concatenate([split.test.users for split in splits]))
    visible, queries = material.visible(first.visible, first.cut), first.visible.select(users)
    facts = ItemFacts.from_visible(first.visible, catalogue.category)
    trades: list[Trade] = []

    def turn(ours: Recommender) -> None:
        test = first.test
        with progress.step("Turning the dial"), watch.time("Turn the dial"):
            trades.extend(trade_off(ours, catalogue, test.queries, test.answers, facts, material.vectors))

    ranked = rank_live(material, made, visible, users, queries, [split.new for split in splits], watch, progress, turn)
    asked = Outcomes(catalogue, "temporal", _WORDING, unjudged=[NEW], groups=material.groups)
    mixes: tuple[Mix, ...] = ()
    with progress.step("Judging the lists"), watch.time("Judge the lists"):
        for split in splits:
            of_users = ranked.of(split.test.users)
            fresh = {name: cut(without_met(one, split.test.queries)) for name, one in of_users.items()}
            new = rows(fresh, split.test.positions(split.new))
            asked.ask(DISCOVERY, split.new, new, facts)
            asked.split(split.new, new, facts)
            known_too = {name: cut(one) for name, one in of_users.items()}
            asked.ask(ALL, split.test, known_too, facts)
            if len(split.repeats):
                asked.ask(REPEATS, split.repeats, rows(known_too, split.test.positions(split.repeats)), facts)
                asked.ask(NEW, split.new, rows(known_too, split.test.positions(split.new)), facts)
            if len(split.new) and not mixes:
                mixes = mixes_of(catalogue, new, asked.questions[DISCOVERY].best_baseline(), split.new.answers)
        of_first = ranked.of(first.test.users)[MODEL]
        ours = of_first.indptr, of_first.items
        note = _note(first, len(material.dataset.histories), max_test_users)
        shown = exposures(Ranked.from_flat(*ours, SHOWN), first.test.answers, catalogue, facts)
        return Measured(
            asked.compared(),
            ranked.categories("temporal"),
            asked.compared_parts(),
            mixes,
            tuple(trades),
            shown,
            (note, *asked.notes()),
        )


def _note(split: Temporal, n_users: int, max_test_users: int) -> str:
    day = dt.datetime.fromtimestamp(split.cut, dt.UTC)
    return (
        f"Over time: everything before {day.day} {day:%B %Y, %H:%M} UTC is the input, the last tenth of the log is "
        f"hidden and asked for. At most {max_test_users:,} of {n_users:,} users are asked, drawn at random; all are "
        "learnt from. All items of the shop are ranked, for the quality in a category all items of the category. That, "
        "and quality by item, by history and by group of users, is about answers new to the user, known items left out "
        "of the lists."
    )
