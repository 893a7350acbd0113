"""A category opens: what serves it best at its present shot level, as a recommender on the scale of the whole shop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from kuapin.progress import SILENT, Progress
from kuapin.ranking.calibration import Calibration, platt
from kuapin.ranking.expectations import Expectations
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.replays import ReplayConfig, launch_lists, opened
from kuapin.ranking.signals import Signals, SignalsConfig, opening_config
from kuapin.ranking.simulation import SimulationConfig, simulate
from kuapin.ranking.strategies import Strategy, ranker_of
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.settings import SourcesConfig

UNMEASURED: Strategy = "mixture"
"""Where nothing can be replayed."""


@dataclass(frozen=True)
class Opening:
    """What serves a category that has just opened.

    Attributes:
        recommender: for its items alone; its signals know the whole shop.
        strategy: that was chosen.
        shot: the shot level it was chosen for.
        expectations: what the choice rests on; ``None``: nothing could be replayed.
    """

    recommender: Recommender
    strategy: Strategy
    shot: float
    expectations: Expectations | None


def open_category(
    visible: Visible,
    items: NDArray[np.int32],
    *,
    shot: float = 0.0,
    hidden: float,
    signals: SignalsConfig,
    ranking: RankingConfig,
    sources: SourcesConfig | None = None,
    simulation: SimulationConfig | None = None,
    strategy: Strategy | None = None,
    progress: Progress = SILENT,
) -> Opening:
    """Replay other openings, choose the strategy that served them best at this shot level, and fit it.

    Args:
        visible: the whole log, and all items, those of the category included.
        items: int32, ascending rows of the category.
        shot: share of the people who will enter that has been seen there.
        hidden: share of the log behind the probabilities of the running shop (``LiveConfig``): theirs are for as long a
            stretch of time.
        signals: which sources.
        ranking: how a ranker is trained.
        sources: how the sources are set; ``None``: the defaults.
        simulation: how much is replayed.
        strategy: that was chosen before, where it can be had; ``None``: it is chosen.
        progress: told of every step.
    """
    visible = opened(visible, items)
    counted = bool(np.isin(visible.histories.items, items).any())
    with progress.step("Fitting sources"):
        config = opening_config(visible, signals, counted=counted)
        fitted = Signals.fit(visible, config, settings=sources)
    found = simulate(
        visible, items, fitted, present=shot, signals=signals, ranking=ranking, config=simulation, progress=progress
    )
    if found is None:
        strategy = UNMEASURED
    elif strategy is None or strategy not in found.scores:
        strategy = found.at(shot).best
    with progress.step("Training what serves it best"):
        lists = launch_lists(
            visible, items, shot, config, ReplayConfig(), fitted, others=found.lists if found else None
        )
        ranker = ranker_of(strategy, fitted.names, len(fitted.signals), lists, ranking)
    n_categories = len(visible.catalogue.categories)
    if found is None:
        return Opening(Recommender(fitted, ranker, *_unmeasured(visible, hidden)), strategy, shot, None)
    share = max(float(found.entering.mean()) * hidden, 1e-9)
    scales = (
        _scale(found.scores[strategy], found.lists.relevant, share, n_categories),
        _scale(*found.strangers, share, n_categories),
    )
    return Opening(Recommender(fitted, ranker, *scales), strategy, shot, found)


def _unmeasured(visible: Visible, hidden: float) -> tuple[Calibration, Calibration]:
    """Scales where nothing could be replayed: what a mean item of the shop has, whatever the score says.

    The order within the category is the score's; among other categories it neither floods the lists nor is lost.
    """
    histories = visible.histories
    people, items = max(int(np.count_nonzero(histories.lengths)), 1), max(histories.n_items, 1)
    usual = min(max(hidden * histories.matrix().nnz / (people * items), 1e-9), 0.5)
    flat = Calibration(1e-3, float(logit(usual)), np.zeros(len(visible.catalogue.categories)))
    return flat, flat


def _scale(scores: NDArray[np.float64], right: NDArray[np.bool_], share: float, n_categories: int) -> Calibration:
    """The scale of replayed openings, for people of whom it is not known that they will enter.

    There everybody who was asked had entered at some time; here ``share`` of the shop's people will in a stretch of
    time as long as the one that the live ranker's probabilities are of. Nobody has met anything of a category that
    opens: what somebody meets there later reads like nothing that was replayed, and is promised no more than that.
    """
    if np.ptp(scores) > 0:
        slope, intercept = platt(scores, right, share)
    else:  # nothing tells the items apart
        slope, intercept = 1.0, float(logit(share * (right.sum() + 1) / (len(right) + 2)) - scores[0])
    top = slope * float(scores.max()) + intercept
    return Calibration(slope, intercept, np.zeros(n_categories), top=top)
