"""Quality in each category: its own items are ranked, and what users chose in it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.evaluation.metrics.registry import evaluate as judge_lists
from kuapin.evaluation.questions import Questions
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.evaluation.report import Comparison, Protocol
from kuapin.pipeline.baselines import Task
from kuapin.pipeline.report_pool import Pool
from kuapin.retrieval.selection import without_met
from kuapin.retrieval.source import Candidates

SHOWN = 10
MOST = 12
LEAST_USERS = 30
"""A category in which fewer users are asked is left out: its interval would say nothing."""
METRICS = ("ndcg@10", "hit_rate@10")
_QUESTION = "Which items of this category will they choose that they had never chosen? Known items are left out."


@dataclass(frozen=True)
class Shelf:
    """A category with the users who are asked about it.

    Attributes:
        name: of the category.
        items: int32, ascending rows of its items: the candidates.
        users: int32, ascending rows in the dataset of those with an answer in it, under any seed.
        task: what every method ranks.
    """

    name: str
    items: NDArray[np.int32]
    users: NDArray[np.int32]
    task: Task


def shelves(
    catalogue: Catalogue, questions: Sequence[Questions], users: NDArray[np.int32], queries: Histories
) -> list[Shelf]:
    """The top-level categories with enough users to ask, the most asked about first.

    Args:
        catalogue: of the shop.
        questions: one a seed; of their answers, those in a category are asked for.
        users: ascending user rows, those of all questions among them.
        queries: their input histories.
    """
    found = []
    for code, name in enumerate(catalogue.categories):
        mask = catalogue.category == code
        asked = [one.users[_among(one, mask)[0]] for one in questions]
        if sum(len(one) for one in asked) < LEAST_USERS:
            continue
        of_shelf, items = np.unique(np.concatenate(asked)), np.flatnonzero(mask).astype(np.int32)
        histories = queries.select(np.searchsorted(users, of_shelf))
        found.append(Shelf(name, items, of_shelf, Task(histories, SHOWN, items)))
    return sorted(found, key=lambda shelf: -len(shelf.users))[:MOST]


def judge_shelves(
    found: Sequence[Shelf],
    lists: Sequence[Mapping[str, Candidates]],
    questions: Sequence[Questions],
    facts: ItemFacts,
    protocol: Protocol,
) -> tuple[Comparison, ...]:
    """One comparison a category.

    Args:
        found: the categories.
        lists: of each, the lists of all methods for its users.
        questions: as :func:`shelves` took them.
        facts: about all items.
        protocol: for the report.
    """
    comparisons = []
    for shelf, of_shelf in zip(found, lists, strict=True):
        mask = np.zeros(len(facts.category), np.bool_)
        mask[shelf.items] = True
        new = {name: without_met(one, shelf.task.queries) for name, one in of_shelf.items()}
        pool, of_items = Pool(), replace(facts, candidates=shelf.items)
        for one in questions:
            rows, answers = _among(one, mask)
            if len(rows):
                place = np.searchsorted(shelf.users, one.users[rows])
                ranked = {name: candidates.take(place) for name, candidates in new.items()}
                pool.add(
                    one.users[rows],
                    {
                        name: judge_lists(Ranked.from_flat(c.indptr, c.items, SHOWN), answers, of_items, METRICS)
                        for name, c in ranked.items()
                    },
                )
        comparisons.append(pool.comparison(shelf.name, _QUESTION, protocol, len(shelf.items)))
    return tuple(comparisons)


def _among(questions: Questions, mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Answers]:
    """The answers among some items, and the rows of the questions whose they are."""
    return Answers.from_histories(questions.answers).where(mask)
