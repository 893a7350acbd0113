"""What was asked about the live shop, and where the answers lie: pools of outcomes by question and by part."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.evaluation.metrics.registry import DEFAULT
from kuapin.evaluation.metrics.registry import evaluate as judge_lists
from kuapin.evaluation.questions import Questions
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.evaluation.report import Comparison, Exposure, Mix, Protocol, Trade
from kuapin.evaluation.slices import slices
from kuapin.pipeline.report_pool import MODEL, Pool

SHOWN = 10
"""Places that the category mix looks at."""
LEAST_USERS = 30
"""A part of the questions with fewer users is left out: its interval would say nothing."""
SLICE_METRICS = ("ndcg@10", "hit_rate@10")

_PARTS = {
    "warmth": ("Items: {}", "Answers that are new to the user; warm items had been met by somebody, cold ones not."),
    "popularity": ("Items: {}", "Answers that are new to the user; each of the three holds a third of the log."),
    "people": ("Users: {}", "Answers that are new to users of this group, by the users table."),
    "history": ("History: {} interactions", "Answers that are new to users with a history of this length."),
}
"""Kind of part → its title and its question."""


@dataclass(frozen=True)
class Measured:
    """Parts of a report."""

    comparisons: tuple[Comparison, ...]
    categories: tuple[Comparison, ...] = ()
    slices: tuple[Comparison, ...] = ()
    mixes: tuple[Mix, ...] = ()
    trades: tuple[Trade, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    notes: tuple[str, ...] = ()


class Outcomes:
    """Collects the outcomes of one protocol.

    Args:
        catalogue: all items are ranked.
        protocol: for the report.
        wording: title of a question → the question in a sentence.
        unjudged: titles of questions from which no verdict follows.
        groups: of all users of the shop, by row, as ``evaluation.slices`` reads them; ``None``: nothing is known.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        protocol: Protocol,
        wording: Mapping[str, str],
        unjudged: Collection[str] = (),
        groups: pl.DataFrame | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.protocol = protocol
        self.wording = wording
        self.unjudged = unjudged
        self.groups = groups
        self.questions: dict[str, Pool] = {}
        self.parts: dict[tuple[str, str], Pool] = {}

    def ask(self, title: str, questions: Questions, ranked: Mapping[str, Ranked], facts: ItemFacts) -> None:
        """Judge the lists of one question under one seed; nothing happens where nobody is asked."""
        if len(questions) == 0:
            return
        answers = Answers.from_histories(questions.answers)
        outcomes = {name: judge_lists(lists, answers, facts, DEFAULT) for name, lists in ranked.items()}
        self.questions.setdefault(title, Pool()).add(questions.users, outcomes)

    def split(self, questions: Questions, ranked: Mapping[str, Ranked], facts: ItemFacts) -> None:
        """Judge the same lists part by part: cold and warm items, popularity, lengths of history, groups of users."""
        answers = Answers.from_histories(questions.answers)
        groups = None if self.groups is None else self.groups[questions.users]
        for part in slices(answers, facts, (), questions.queries.lengths, groups):
            outcomes = {
                name: judge_lists(lists.take(part.users), part.answers, facts, SLICE_METRICS)
                for name, lists in ranked.items()
            }
            self.parts.setdefault((part.kind, part.name), Pool()).add(questions.users[part.users], outcomes)

    def compared(self) -> tuple[Comparison, ...]:
        """One comparison a question."""
        return tuple(
            replace(
                pool.comparison(title, self.wording[title], self.protocol, len(self.catalogue)),
                judged=title not in self.unjudged,
            )
            for title, pool in self.questions.items()
        )

    def compared_parts(self) -> tuple[Comparison, ...]:
        """One comparison a part, where enough users were asked; ``notes`` names the groups that are left out."""
        return tuple(
            pool.comparison(_PARTS[kind][0].format(name), _PARTS[kind][1], self.protocol, len(self.catalogue))
            for (kind, name), pool in self.parts.items()
            if len(pool) >= LEAST_USERS
        )

    def notes(self) -> tuple[str, ...]:
        """The groups of users that are left out, by name."""
        sizes = {name: len(pool) for (kind, name), pool in self.parts.items() if kind == "people"}
        small = [f"{name} ({n})" for name, n in sizes.items() if n < LEAST_USERS]
        return (f"Groups with fewer than {LEAST_USERS} users asked, left out: {', '.join(small)}.",) if small else ()


def mixes_of(catalogue: Catalogue, ranked: Mapping[str, Ranked], best: str, answers: Histories) -> tuple[Mix, ...]:
    """The category mix of our lists, of the best baseline's, and of what was chosen."""

    def shares(items: NDArray[np.integer]) -> dict[str, float]:
        counts = np.bincount(catalogue.category[items], minlength=len(catalogue.categories))
        order = np.argsort(-counts, kind="stable")
        return {catalogue.categories[k]: float(counts[k] / counts.sum()) for k in order if counts[k]}

    def shown(lists: Ranked) -> NDArray[np.int32]:
        items = lists.items[:, :SHOWN].ravel()
        return items[items >= 0]

    return (
        Mix(MODEL, shares(shown(ranked[MODEL]))),
        Mix(best, shares(shown(ranked[best]))),
        Mix("what users chose", shares(Answers.from_histories(answers).items), is_truth=True),
    )
