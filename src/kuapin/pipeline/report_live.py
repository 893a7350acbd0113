"""What the protocols about the live shop share: one training, and the lists of all methods for all who are asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.evaluation.questions import Questions
from kuapin.evaluation.ranked import ItemFacts
from kuapin.evaluation.report import Comparison, Protocol
from kuapin.pipeline.baselines import Baseline, Task
from kuapin.pipeline.report_categories import Shelf, judge_shelves, shelves
from kuapin.pipeline.report_lists import LISTED, live_lists
from kuapin.pipeline.report_material import Material, Stopwatch
from kuapin.progress import Progress
from kuapin.ranking.recommender import Recommender
from kuapin.retrieval.source import Candidates, Visible


@dataclass(frozen=True)
class LiveLists:
    """The lists of all methods, over the whole catalogue and within the categories.

    Attributes:
        users: int32, ascending rows of all users asked, under any seed.
        lists: method → their lists over the whole catalogue.
        shelves: the categories with enough to ask.
        of_shelves: of each, method → the lists of its users.
        facts: about all items, of what was visible.
        new: of every seed, the questions about what is new to the user.
    """

    users: NDArray[np.int32]
    lists: dict[str, Candidates]
    shelves: list[Shelf]
    of_shelves: list[dict[str, Candidates]]
    facts: ItemFacts
    new: Sequence[Questions]

    def of(self, users: NDArray[np.int32]) -> dict[str, Candidates]:
        """The lists over the whole catalogue of some of the users."""
        place = np.searchsorted(self.users, users)
        return {name: lists.take(place) for name, lists in self.lists.items()}

    def categories(self, protocol: Protocol) -> tuple[Comparison, ...]:
        """One comparison a category."""
        return judge_shelves(self.shelves, self.of_shelves, self.new, self.facts, protocol)


def rank_live(
    material: Material,
    made: Sequence[Baseline],
    visible: Visible,
    users: NDArray[np.int32],
    queries: Histories,
    new: Sequence[Questions],
    watch: Stopwatch,
    progress: Progress,
    also: Callable[[Recommender], None] | None = None,
) -> LiveLists:
    """Train once on what is visible and rank for everybody who is asked.

    Args:
        material: the shop, and how our method is trained.
        made: the baselines.
        visible: all that they may learn from.
        users: ascending rows of all users asked, under any seed.
        queries: their input histories.
        new: of every seed, the questions about what is new to the user.
        watch: notes the time.
        progress: told of the steps.
        also: what else our method, trained, is asked for.
    """
    catalogue = material.dataset.catalogue
    by_category = shelves(catalogue, new, users, queries)
    tasks = [Task(queries, LISTED), *(shelf.task for shelf in by_category)]
    lists, *of_shelves = live_lists(material, made, visible, tasks, watch, progress, also)
    facts = ItemFacts.from_visible(visible.histories, catalogue.category)
    return LiveLists(users, lists, by_category, of_shelves, facts, new)
