"""The live shop, measured by each user's last item, as parts of a report."""

from collections.abc import Sequence

import numpy as np

from kuapin.errors import InputError
from kuapin.evaluation.ranked import ItemFacts
from kuapin.evaluation.splits import leave_one_out
from kuapin.pipeline.baselines import Baseline, without_met
from kuapin.pipeline.report_categories import judge_shelves, shelves
from kuapin.pipeline.report_lists import cut, live_lists, take, whole
from kuapin.pipeline.report_material import Material, Stopwatch
from kuapin.pipeline.report_questions import Asked, Measured
from kuapin.progress import SILENT, Progress

LAST = "The last item"
_WORDING = {LAST: "Which item comes last in the history? Items that are in it already are left out of the lists."}


def measure_leave_one_out(
    material: Material,
    made: Sequence[Baseline],
    *,
    seeds: int,
    max_test_users: int,
    watch: Stopwatch,
    progress: Progress = SILENT,
) -> Measured:
    """Each user's last item is hidden and asked for; items of the history are left out of every list.

    The methods are fitted once, on what is visible; a further seed draws other users to ask.

    Raises:
        InputError: no user has three interactions, or every last item is one that its user had met before.
    """
    everybody = leave_one_out(material.dataset)
    splits = [leave_one_out(material.dataset, max_test_users=max_test_users, seed=seed) for seed in range(seeds)]
    users = np.unique(np.concatenate([split.test.users for split in splits]))
    if len(users) == 0:
        raise InputError(
            "The last item of every user asked is one that he had met before, so there is nothing to find. "
            "Use the protocol temporal."
        )
    queries = everybody.test.queries.select(np.searchsorted(everybody.test.users, users))
    visible = material.visible(everybody.visible, int(everybody.visible.times.max(initial=0)) + 1)
    last = [split.test for split in splits]
    by_category = shelves(material.dataset.catalogue, last, lambda rows: queries.select(np.searchsorted(users, rows)))
    tasks = [whole(queries), *(shelf.task for shelf in by_category)]
    lists, *of_shelves = live_lists(material, made, visible, tasks, watch, progress)
    facts = ItemFacts.from_visible(everybody.visible, material.dataset.catalogue.category)
    asked = Asked(material.dataset.catalogue, "leave-one-out", _WORDING)
    with progress.step("Judging the lists"), watch.time("Judge the lists"):
        for split in splits:
            of_users = {name: take(one, np.searchsorted(users, split.test.users)) for name, one in lists.items()}
            new = {name: cut(without_met(one, split.test.queries)) for name, one in of_users.items()}
            asked.ask(LAST, split.test, new, facts)
            asked.split(split.test, new, facts)
        note = (
            f"Leave-one-out: each user's last item is the answer, all before it the input; at most {max_test_users:,} "
            "users are asked. What others did later is visible to training, as in the papers; over time is the "
            "stricter question."
        )
        categories = judge_shelves(by_category, of_shelves, last, facts, "leave-one-out")
        return Measured(asked.compared(), categories, asked.compared_parts(), notes=(note,))
