"""The lists of all methods for the users of a question, ours first."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.evaluation.ranked import Ranked
from kuapin.pipeline.baselines import Baseline, rank_baselines
from kuapin.pipeline.report_material import Material, Stopwatch
from kuapin.pipeline.report_pool import MODEL
from kuapin.progress import Progress
from kuapin.ranking.live import fit_live
from kuapin.retrieval.source import Candidates, Visible

LISTED = 50
"""Length of the lists that are judged."""


def live_lists(
    material: Material,
    made: Sequence[Baseline],
    visible: Visible,
    queries: Histories,
    watch: Stopwatch,
    progress: Progress,
) -> dict[str, Candidates]:
    """Lists over the whole catalogue, long enough that ``LISTED`` remain without what a user knows.

    Args:
        material: the shop, and how our method is trained.
        made: the baselines.
        visible: all that they may learn from.
        queries: the histories of the users asked.
        watch: notes the time.
        progress: told of the steps.
    """
    n = LISTED + int(np.diff(queries.matrix().indptr).max(initial=0))
    learning = material.learning
    with watch.time("Train on what lies before the cut"):
        fitted = fit_live(
            visible, signals=learning.signals, ranking=learning.ranking, live=learning.live, progress=progress
        )
    with watch.time("Rank for the users asked"), progress.step("Ranking for the users asked", len(queries), "users"):
        lists = {MODEL: fitted.recommender.rank(queries, n)}
    with watch.time("Fit the baselines and rank"):
        return lists | rank_baselines(made, visible, queries, n, progress=progress)


def take(lists: Candidates, users: NDArray[np.integer]) -> Candidates:
    """The lists of some rows, in the given order."""
    lengths = np.diff(lists.indptr)[users]
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    index = np.repeat(lists.indptr[:-1][users] - indptr[:-1], lengths) + np.arange(indptr[-1])
    return Candidates(indptr, lists.items[index], lists.scores[index])


def cut(lists: Candidates) -> Ranked:
    """The first ``LISTED`` of every list."""
    return Ranked.from_flat(lists.indptr, lists.items, LISTED)


def rows(ranked: Mapping[str, Ranked], users: NDArray[np.integer]) -> dict[str, Ranked]:
    """Some rows of the lists of every method."""
    return {name: lists.take(users) for name, lists in ranked.items()}
