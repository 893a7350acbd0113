"""Where a method works: per category, cold and warm items, head, middle and tail, length of history, group of users."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin.evaluation.bootstrap import interval
from kuapin.evaluation.metrics.registry import evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked

HISTORY_LENGTHS = (1, 3, 6, 11, 21, 51)
"""Lower bounds of the history length buckets: 1-2, 3-5, 6-10, 11-20, 21-50, 51 and more."""


@dataclass(frozen=True)
class Slice:
    """A part of the questions.

    Attributes:
        kind: ``category``, ``warmth``, ``popularity``, ``history`` or ``people``.
        name: which part of that kind.
        users: int64, rows of the judged users that belong to it, ascending.
        answers: of these users; for item slices, only the answers among the slice's items.
    """

    kind: str
    name: str
    users: NDArray[np.int64]
    answers: Answers


def slices(
    answers: Answers,
    facts: ItemFacts,
    categories: Sequence[str],
    lengths: NDArray[np.int64],
    groups: pl.DataFrame | None = None,
) -> list[Slice]:
    """Every part that holds a user.

    Slices by item keep the answers among the slice's items, while the lists stay those of the whole catalogue: they say
    how well such items are found from among all. Categories are in the order of their codes.

    - ``warmth``: ``cold`` items have no visible interaction, ``warm`` ones have.
    - ``popularity``: warm items by falling popularity; the ``head`` holds the first third of the visible interactions,
      the ``middle`` the second, the ``tail`` the last.
    - ``history``: users by the number of interactions in their query.
    - ``people``: users by what every column of ``groups`` says of them, such as ``age 65+``.

    Args:
        answers: of the judged users.
        facts: about the items; popularity from what was visible.
        categories: names by category code.
        lengths: int64 (n_users,), history lengths of the judged users.
        groups: a row for each judged user, a column for each way to group them; null: in no group of it.
    """
    warm = facts.popularity > 0
    masks = [("category", name, facts.category == code) for code, name in enumerate(categories)]
    masks += [("warmth", "cold", ~warm), ("warmth", "warm", warm)]
    masks += [("popularity", name, mask) for name, mask in _thirds(facts.popularity).items()]
    parts = [Slice(kind, name, *answers.where(mask)) for kind, name, mask in masks]
    endless = np.iinfo(np.int64).max
    for low, high in itertools.pairwise((*HISTORY_LENGTHS, endless)):
        name = f"{low} and more" if high == endless else f"{low}-{high - 1}"
        rows = np.flatnonzero((lengths >= low) & (lengths < high))
        parts.append(Slice("history", name, rows, answers.take(rows)))
    for column in () if groups is None else groups.get_columns():
        values = column.cast(pl.String)
        for value in values.drop_nulls().unique().sort():
            rows = values.eq(value).fill_null(value=False).arg_true().to_numpy().astype(np.int64)
            parts.append(Slice("people", f"{column.name} {value}", rows, answers.take(rows)))
    return [part for part in parts if len(part.users)]


def evaluate_slices(
    ranked: Ranked, parts: Sequence[Slice], facts: ItemFacts, metrics: Sequence[str] = ("ndcg@10",), seed: int = 0
) -> pl.DataFrame:
    """Means with intervals of every part: ``kind, name, users, metric, value, low, high``, in the order of ``parts``.

    Args:
        ranked: the lists of all judged users.
        parts: from :func:`slices`.
        facts: about the items.
        metrics: names of metrics with a value per user.
        seed: of the intervals.
    """
    rows = []
    for part in parts:
        outcome = evaluate(ranked.take(part.users), part.answers, facts, metrics)
        for metric in metrics:
            estimate = interval(outcome.users[metric], seed=seed)
            rows.append((part.kind, part.name, len(part.users), metric, estimate.value, estimate.low, estimate.high))
    names = {"kind": pl.String, "name": pl.String, "users": pl.Int64, "metric": pl.String}
    return pl.DataFrame(rows, schema=names | dict.fromkeys(("value", "low", "high"), pl.Float64), orient="row")


def _thirds(popularity: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Warm items in three parts with equal shares of the interactions; ties go to the smaller row."""
    order = np.argsort(-popularity, kind="stable")
    before = np.empty(len(popularity), np.float64)
    running = np.cumsum(popularity[order])
    before[order] = (running - popularity[order]) / max(int(popularity.sum()), 1)
    warm = popularity > 0
    return {
        "head": warm & (before < 1 / 3),
        "middle": warm & (before >= 1 / 3) & (before < 2 / 3),
        "tail": warm & (before >= 2 / 3),
    }
