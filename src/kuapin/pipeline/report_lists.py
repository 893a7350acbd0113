"""The lists of all methods for the users of a question, ours first."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kuapin.evaluation.ranked import Ranked
from kuapin.pipeline.baselines import Baseline, Task, rank_baselines, rank_task
from kuapin.pipeline.report_material import Material, Stopwatch
from kuapin.pipeline.report_pool import MODEL
from kuapin.progress import Progress
from kuapin.ranking.live import fit_live
from kuapin.ranking.recommender import Recommender
from kuapin.retrieval.source import Candidates, Visible

LISTED = 50
"""Length of the lists that are judged."""


def live_lists(
    material: Material,
    made: Sequence[Baseline],
    visible: Visible,
    tasks: Sequence[Task],
    watch: Stopwatch,
    progress: Progress,
    also: Callable[[Recommender], None] | None = None,
) -> list[dict[str, Candidates]]:
    """The lists of all methods for several tasks, from one training.

    Args:
        material: the shop, and how our method is trained.
        made: the baselines.
        visible: all that they may learn from.
        tasks: the lists that are wanted.
        watch: notes the time.
        progress: told of the steps.
        also: what else our method, trained, is asked for.
    """
    learning = material.learning
    with watch.time("Train on what lies before the cut"):
        fitted = fit_live(
            visible,
            signals=learning.signals,
            ranking=learning.ranking,
            live=learning.live,
            sources=material.config.sources,
            progress=progress,
        )
    ours = []
    with watch.time("Rank for the users asked"), progress.step("Ranking", len(tasks), "sets of lists") as step:
        for task in tasks:
            ours.append({MODEL: rank_task(fitted.recommender.rank, task)})
            step.advance()
    if also is not None:
        also(fitted.recommender)
    del fitted  # its sources would lie in memory beside the baselines
    with watch.time("Fit the baselines and rank"):
        others = rank_baselines(made, visible, tasks, progress)
    return [one | other for one, other in zip(ours, others, strict=True)]


def cut(lists: Candidates) -> Ranked:
    """The first ``LISTED`` of every list."""
    return Ranked.from_flat(lists.indptr, lists.items, LISTED)


def rows(ranked: Mapping[str, Ranked], users: NDArray[np.integer]) -> dict[str, Ranked]:
    """Some rows of the lists of every method."""
    return {name: lists.take(users) for name, lists in ranked.items()}
