"""Signals and ranker together: histories in, ordered lists out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.progress import SILENT, Progress
from kuapin.ranking.lists import Lists, make_lists
from kuapin.ranking.ranker import Ranker, RankingConfig, fit_ranker
from kuapin.ranking.replays import ReplayConfig, launch_lists
from kuapin.ranking.signals import Signals, SignalsConfig
from kuapin.retrieval.source import Candidates, Visible

USERS_AT_ONCE = 512


@dataclass(frozen=True)
class Recommender:
    """What a release knows of ranking.

    Attributes:
        signals: fitted on all that was visible.
        ranker: puts their candidates in one order.
    """

    signals: Signals
    ranker: Ranker

    def rank(self, histories: Histories, n: int, items: NDArray[np.integer] | None = None) -> Candidates:
        """The best ``n`` candidates of every history among ``items`` (ascending rows; ``None``: all), best first."""
        parts = [
            best(lists, self.ranker.score(lists.features), n)
            for lists in (
                make_lists(
                    self.signals, histories.select(np.arange(first, min(first + USERS_AT_ONCE, len(histories)))), items
                )
                for first in range(0, len(histories), USERS_AT_ONCE)
            )
        ]
        lengths = np.concatenate([np.diff(part.indptr) for part in parts]) if parts else np.empty(0, np.int64)
        return Candidates(
            np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            np.concatenate([part.items for part in parts]) if parts else np.empty(0, np.int32),
            np.concatenate([part.scores for part in parts]) if parts else np.empty(0, np.float32),
        )


def best(lists: Lists, scores: NDArray[np.float64], n: int) -> Candidates:
    """The ``n`` best candidates of every list by ``scores`` (k,), best first; ties go to the smaller item row."""
    order = np.lexsort((lists.items, -scores, lists.users))
    place = np.arange(len(order)) - np.repeat(lists.indptr[:-1], lists.lengths)
    kept = order[place < n]
    indptr = np.concatenate(([0], np.cumsum(np.minimum(lists.lengths, n)))).astype(np.int64)
    return Candidates(indptr, lists.items[kept], scores[kept].astype(np.float32))


def fit_launch(
    visible: Visible,
    items: NDArray[np.int32],
    shot: float,
    *,
    signals: SignalsConfig,
    ranking: RankingConfig,
    replays: ReplayConfig,
    progress: Progress = SILENT,
) -> Recommender:
    """A recommender for a category that has just opened (DESIGN §5.5).

    Args:
        visible: all that may be seen, the category's shots included.
        items: int32, ascending rows of the category.
        shot: share of the users whose interactions in the category are visible.
        signals: which sources.
        ranking: how the ranker is trained.
        replays: how launches are replayed for its training.
        progress: told of the replays.
    """
    fitted = Signals.fit(visible, signals)
    lists = launch_lists(visible, items, shot, signals, replays, fitted, progress)
    return Recommender(fitted, fit_ranker(lists, fitted.names, len(fitted.signals), ranking))
