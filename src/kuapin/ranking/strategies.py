"""Ways to serve a category that has just opened; each is a ranker of the same signals, so that any can go live."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from kuapin.ranking.linear import Linear
from kuapin.ranking.lists import Lists
from kuapin.ranking.ranker import LEAST_LISTS, Ranker, RankingConfig, fit_ranker, fixed_ranker

Strategy = Literal["popularity", "text", "mixture", "transfer"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
"""The plainest first. ``popularity``: how many people met an item, and where that does not tell two apart, how many its
text lets expect. ``text``: items that read like the history. ``mixture``: both and what people met together, by fixed
weights. ``transfer``: all signals, weighed as the openings of other categories taught."""
POPULARITY: Strategy = "popularity"
TRANSFER: Strategy = "transfer"
READS: dict[Strategy, dict[str, float]] = {
    "popularity": {"popularity": 1.0, "predicted_popularity": 1e-4},
    "text": {"adapted": 1.0},
}
"""Of the strategies that read few signals: the signals with their weights."""


def possible_strategies(names: Sequence[str]) -> tuple[Strategy, ...]:
    """The strategies for which the columns ``names`` hold what they read."""
    return tuple(one for one in STRATEGIES if one not in READS or set(READS[one]) & set(names))


def ranker_of(
    strategy: Strategy, names: tuple[str, ...], n_signals: int, lists: Lists, config: RankingConfig
) -> Ranker:
    """The ranker that a strategy is.

    Args:
        strategy: one of ``STRATEGIES``.
        names: of the feature columns.
        n_signals: how many of them, from the first, are signals.
        lists: what ``transfer`` learns from; with too few that teach something it is the mixture.
        config: how it learns.
    """
    if strategy in READS:
        weight = np.array([READS[strategy].get(name, 0.0) for name in names[:n_signals]], np.float64)
        return Ranker(names, Linear(weight, np.zeros(n_signals)), None, 0.0, (1.0, 1.0), {})
    if strategy == "mixture" or len(lists.useful()) < LEAST_LISTS:
        return fixed_ranker(names, n_signals)
    return fit_ranker(lists, names, n_signals, config)
