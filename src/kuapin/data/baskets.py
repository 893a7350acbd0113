"""What was taken together: one basket a row, as a history of its own."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import NOT_AN_ANSWER
from kuapin.data.histories import Histories, from_interactions
from kuapin.data.vocabulary import Vocabulary

COLUMNS = (c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT, c.BASKET_ID, c.SESSION_ID)
"""What is read of the log."""
MOST_ITEMS = 200
"""A basket of more items is a wholesaler's or a bot's: it says nothing about pairs, and costs as its square."""
DAY = 86_400


@dataclass(frozen=True)
class Baskets:
    """All baskets of a log, oldest first.

    Attributes:
        histories: a basket a row; its items are distinct, ascending by row, and all have the time of the first.
        owner: int32 (n_baskets,), row of the user whose basket it is.
    """

    histories: Histories
    owner: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def times(self) -> NDArray[np.int64]:
        """Of every basket, int64 (n_baskets,)."""
        return self.histories.times[self.histories.indptr[:-1]]

    def select(self, rows: NDArray[np.integer]) -> Self:
        """Some baskets, in the given order."""
        return type(self)(self.histories.select(rows), self.owner[rows])


def build_baskets(log: pl.DataFrame, items: Vocabulary, users: Vocabulary) -> Baskets:
    """Group a log by ``basket_id``, or ``session_id``, or the user's day (UTC), whichever a row has first.

    Purchases alone make baskets where the log has any; otherwise everything does but searches and impressions. Rows
    that have none of the three belong to no basket, and baskets of more than ``MOST_ITEMS`` items are left out.

    Args:
        log: the interactions table, with those of ``COLUMNS`` that it has.
        items: of the catalogue; others are passed over.
        users: of the shop.
    """
    have = log.columns
    if c.EVENT in have:
        bought = log[c.EVENT].eq_missing("purchase")
        wanted = bought if bought.any() else ~log[c.EVENT].is_in(NOT_AN_ANSWER).fill_null(value=False)
        log = log.filter(wanted)
    day = pl.col(c.TIMESTAMP) // DAY if c.TIMESTAMP in have else pl.lit(None, pl.Int64)
    keys = [pl.format("{} {}", pl.lit(name), pl.col(name)) for name in (c.BASKET_ID, c.SESSION_ID) if name in have]
    time = pl.col(c.TIMESTAMP) if c.TIMESTAMP in have else pl.int_range(pl.len())
    table = (
        log.select(
            pl.coalesce(*keys, pl.format("day {} {}", day, pl.col(c.USER_ID))).alias("basket"),
            pl.Series("user", users.rows(log[c.USER_ID])),
            pl.Series("item", items.rows(log[c.ITEM_ID])),
            time.fill_null(0).cast(pl.Int64).alias("time"),
        )
        .filter(pl.col("basket").is_not_null(), pl.col("user") >= 0, pl.col("item") >= 0)
        .group_by("user", "basket", maintain_order=True)
        .agg(pl.col("time").min(), pl.col("item").unique())
        .filter(pl.col("item").list.len() <= MOST_ITEMS)
        .sort("time", maintain_order=True)
    )
    lengths = table["item"].list.len().to_numpy()
    rows = np.repeat(np.arange(table.height), lengths)
    flat = table["item"].explode(empty_as_null=False).to_numpy() if table.height else np.empty(0, np.int32)
    flat = flat[np.lexsort((flat, rows))]
    histories = from_interactions(
        rows,
        flat,
        np.repeat(table["time"].to_numpy(), lengths),
        np.full(len(flat), c.EVENTS.index("purchase"), np.uint8),
        n_users=table.height,
        n_items=len(items),
        timed=c.TIMESTAMP in have and log[c.TIMESTAMP].null_count() == 0,
    )
    return Baskets(histories, table["user"].to_numpy().astype(np.int32))
