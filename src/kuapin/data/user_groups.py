"""Groups of people by the users table: what columns of few values say of each."""

import polars as pl

from kuapin import columns as c
from kuapin.data.vocabulary import Vocabulary

MOST_VALUES = 20
"""A column with more values tells people apart rather than grouping them."""
_PLAIN = (pl.String, pl.Boolean)


def user_groups(users: pl.DataFrame) -> pl.DataFrame:
    """The users table with its grouping columns alone, as strings; ``user_id`` comes first.

    A column groups people where it has 2 to ``MOST_VALUES`` values, each of two people or more on average: an address
    or a number is none, however few people there are.
    """
    chosen = []
    for name in users.columns:
        known = users[name].drop_nulls()
        if name == c.USER_ID or not (known.dtype in _PLAIN or known.dtype.is_integer()):
            continue
        values = known.n_unique()
        if 2 <= values <= MOST_VALUES and 2 * values <= known.len():
            chosen.append(name)
    return users.select(c.USER_ID, pl.col(chosen).cast(pl.String)) if chosen else users.select(c.USER_ID)


def groups_by_row(users: pl.DataFrame, known: Vocabulary) -> pl.DataFrame:
    """The grouping columns alone, a row for each known person in their order; null where the table says nothing."""
    ids = known.ids.alias(c.USER_ID).to_frame()
    return ids.join(user_groups(users), on=c.USER_ID, how="left", maintain_order="left").drop(c.USER_ID)
