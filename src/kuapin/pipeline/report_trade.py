"""What the dial from "more of the same" to "discover" costs and gives: the trade curve."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import interval
from kuapin.evaluation.metrics.intra_list_distance import intra_list_distance
from kuapin.evaluation.metrics.registry import PerUser, evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.evaluation.report import Trade
from kuapin.ranking.diversity import DiversityConfig
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.reranker import Reranker
from kuapin.retrieval.selection import one_after_another

DIALS = (-0.5, -0.25, 0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
K = 10
METRICS = ("ndcg@10", "category_entropy@10", "novelty@10", "coverage@10")
DISTANCE = "intra_list_distance@10"


def trade_off(
    recommender: Recommender,
    catalogue: Catalogue,
    queries: Histories,
    answers: Histories,
    facts: ItemFacts,
    vectors: NDArray[np.float32],
    dials: Sequence[float] = DIALS,
) -> tuple[Trade, ...]:
    """The lists of all who are asked at every position of the dial, judged.

    Args:
        recommender: has not seen the answers.
        catalogue: its items.
        queries: histories of those asked.
        answers: what they did then.
        facts: about the items, of what was visible.
        vectors: float32 (n_items, d), unit length, by which lists are told to be diverse.
        dials: positions.
    """
    trades = []
    for dial in dials:
        judged = lists_at(recommender, catalogue, queries, answers, facts, vectors, DiversityConfig(discovery=dial))
        figures = {name: interval(values) for name, values in judged.users.items()}
        trades.append(Trade(f"{dial:+g}" if dial else "0", figures, judged.whole))
    return tuple(trades)


def lists_at(
    recommender: Recommender,
    catalogue: Catalogue,
    queries: Histories,
    answers: Histories,
    facts: ItemFacts,
    vectors: NDArray[np.float32],
    diversity: DiversityConfig,
) -> PerUser:
    """As :func:`trade_off`, of one setting, with the values of every user."""
    reranker = Reranker(recommender, catalogue, diversity=diversity)
    found = one_after_another([ranked.found for _, ranked in reranker.ranked(queries, K)])
    lists = Ranked.from_flat(found.indptr, found.items, K)
    judged = evaluate(lists, Answers.from_histories(answers), facts, METRICS)
    met = queries.matrix()
    known = np.array([met[user, row[row >= 0]].sum() for user, row in enumerate(lists.items)])
    shown = np.maximum((lists.items >= 0).sum(axis=1), 1)
    distance = {DISTANCE: intra_list_distance(lists, vectors, K), "met_before@10": known / shown}
    return PerUser({**judged.users, **distance}, judged.whole)
