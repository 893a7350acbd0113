"""A walk through the knowledge graph from what a user met."""

from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kuapin.data.histories import Histories
from kuapin.retrieval.knowledge import Knowledge
from kuapin.retrieval.source import Arrays, NewItems, Scores, Source, Visible

AT_ONCE = 64
"""Users who walk together."""


class GraphConfig(BaseModel):
    """How far the walk goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    restart: float = Field(0.3, gt=0, lt=1, description="Probability at every step of going back to the history.")
    steps: int = Field(3, ge=1, le=20, description="From item to item, at most.")


class Graph(Source):
    """Score = personalised PageRank from the history's distinct items, times the number of items.

    r = a Σₖ (1 - a)ᵏ h Pᵏ, cut after ``steps`` (Page et al. 1999; Haveliwala 2002), P the walk of
    :meth:`Knowledge.walk`: over relations, brands, shelves and attributes. So 1 is what an even draw would give.
    Nothing is learnt of people. Floor: 0, nothing in common.
    """

    name = "graph"
    cold_items = True
    personal = True
    learns = False

    def __init__(self, config: GraphConfig | None = None) -> None:
        self.config = config or GraphConfig()

    def fit(self, visible: Visible) -> Self:
        """Read the catalogue and its relations."""
        return self._take(Knowledge.of(visible.catalogue))

    def _take(self, knowledge: Knowledge) -> Self:
        self.knowledge = knowledge
        self.walk = knowledge.walk()
        self.n_items = knowledge.n_items
        return self

    def score(self, histories: Histories, items: NDArray[np.integer] | None = None) -> Scores:
        """Walks of all histories, float32 (n_users, n_items)."""
        met, n_items = histories.matrix(), histories.n_items
        wanted = slice(None) if items is None else items
        found = np.empty((len(histories), n_items if items is None else len(items)), np.float32)
        a = self.config.restart
        for first in range(0, len(histories), AT_ONCE):
            start = met[first : first + AT_ONCE].toarray().T  # (n_items, users)
            start /= np.maximum(start.sum(axis=0), 1)
            mass, total = start, np.zeros_like(start)
            for _ in range(self.config.steps):
                mass = np.float32(1 - a) * self.walk.step(mass)
                total += mass
            found[first : first + AT_ONCE] = np.float32(a * n_items) * total[wanted].T
        return found

    def near(self, history: NDArray[np.int32], items: NDArray[np.int32]) -> Scores:
        """What a walk from each item of a history gives, where it gives something: float32 (h, i), else -inf."""
        alone = Histories(
            np.arange(len(history) + 1, dtype=np.int64),
            np.asarray(history, np.int32),
            np.zeros(len(history), np.int64),
            np.zeros(len(history), np.uint8),
            self.n_items,
            timed=False,
        )
        given = self.score(alone, items)
        return np.where(given > 0, given, np.float32(-np.inf))

    def with_items(self, new: NewItems) -> Self:
        """New items are known by their brand and shelf."""
        return copy(self)._take(self.knowledge.with_items(new.catalogue))

    def arrays(self) -> Arrays:
        """Those of the graph, and ``settings``: restart and steps."""
        return self.knowledge.arrays() | {"settings": np.array([self.config.restart, self.config.steps])}

    def restore(self, arrays: Arrays) -> Self:
        """Take the graph and the settings."""
        restart, steps = np.asarray(arrays["settings"], np.float64).tolist()
        self.config = GraphConfig(restart=restart, steps=int(steps))
        return self._take(Knowledge.restore(arrays))
