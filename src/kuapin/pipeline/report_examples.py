"""A few users with what they did last, what is recommended to them, and why."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import polars as pl

from kuapin import columns as c
from kuapin.data.dataset import Dataset
from kuapin.evaluation.report import Example, Recommended
from kuapin.model import Model

LATEST = 8
QUANTILES = (0.25, 0.5, 0.75)


def typical_users(dataset: Dataset, quantiles: Sequence[float] = QUANTILES) -> tuple[str, ...]:
    """Ids of a light, a middle and a heavy user: those at these quantiles of the number of interactions."""
    lengths = dataset.histories.lengths
    active = np.flatnonzero(lengths > 0)
    by_length = active[np.argsort(lengths[active], kind="stable")]
    places = [round(quantile * (len(by_length) - 1)) for quantile in quantiles] if len(by_length) else []
    return tuple(dict.fromkeys(dataset.users.id(int(by_length[place])) for place in places))


def examples_of(
    model: Model, dataset: Dataset, users: Sequence[str], *, n: int, per_category: int, kind: str = "User"
) -> tuple[Example, ...]:
    """Lists with reasons, across categories.

    Args:
        model: the live release.
        dataset: of the same shop.
        users: ids.
        n: length of a list.
        per_category: items of one category at most.
        kind: what a user is called (``Household``).
    """
    table = model.recommend(list(users), n=n, explain=True, per_category=per_category)
    return tuple(
        Example(f"{kind} {user}", _latest(dataset, user), _listed(dataset, table.filter(pl.col(c.USER_ID) == user)))
        for user in users
    )


def _latest(dataset: Dataset, user: str) -> tuple[Recommended, ...]:
    """The latest items, the latest first; of those with one title, the first."""
    named = (_named(dataset, int(row), "") for row in dataset.histories.of(dataset.users.row(user))[::-1])
    distinct = dict.fromkeys(islice(named, 20 * LATEST))
    return tuple(distinct)[:LATEST]


def _listed(dataset: Dataset, table: pl.DataFrame) -> tuple[Recommended, ...]:
    rows = dataset.catalogue.items.rows(table[c.TARGET_ID])
    return tuple(_named(dataset, int(row), reason or "") for row, reason in zip(rows, table[c.REASON], strict=True))


def _named(dataset: Dataset, row: int, reason: str) -> Recommended:
    catalogue = dataset.catalogue
    return Recommended(
        catalogue.title(row) or catalogue.items.id(row), catalogue.categories[catalogue.category[row]], reason
    )
