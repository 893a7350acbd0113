"""The live shop, measured by each user's last item, as parts of a report."""

from collections.abc import Sequence

import numpy as np

from kuapin.errors import InputError
from kuapin.evaluation.splits import leave_one_out
from kuapin.pipeline.baselines import Baseline
from kuapin.pipeline.report_lists import cut
from kuapin.pipeline.report_live import rank_live
from kuapin.pipeline.report_material import Material, Stopwatch
from kuapin.pipeline.report_questions import Measured, Outcomes
from kuapin.progress import SILENT, Progress
from kuapin.retrieval.selection import without_met

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
    splits = [
        leave_one_out(material.dataset, max_test_users=max_test_users, seed=seed) for seed in material.seeds(seeds)
    ]
    users = np.unique(np.concatenate([split.test.users for split in splits]))
    if len(users) == 0:
        raise InputError(
            "The last item of every user asked is one that he had met before, so there is nothing to find. "
            "Use the protocol temporal."
        )
    queries = everybody.test.queries.select(np.searchsorted(everybody.test.users, users))
    visible = material.visible(everybody.visible, int(everybody.visible.times.max(initial=0)) + 1)
    last = [split.test for split in splits]
    ranked = rank_live(material, made, visible, users, queries, last, watch, progress)
    asked = Outcomes(material.dataset.catalogue, "leave-one-out", _WORDING, groups=material.groups)
    with progress.step("Judging the lists"), watch.time("Judge the lists"):
        for split in splits:
            of_users = ranked.of(split.test.users)
            new = {name: cut(without_met(one, split.test.queries)) for name, one in of_users.items()}
            asked.ask(LAST, split.test, new, ranked.facts)
            asked.split(split.test, new, ranked.facts)
        note = (
            f"Leave-one-out: each user's last item is the answer, all before it the input; at most {max_test_users:,} "
            "users are asked. What others did later is visible to training, as in the papers; over time is the "
            "stricter question."
        )
        return Measured(
            asked.compared(), ranked.categories("leave-one-out"), asked.compared_parts(), notes=(note, *asked.notes())
        )
