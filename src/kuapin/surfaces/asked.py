"""What a surface is asked."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin.data.histories import Histories


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What one surface is asked by users who may be shown the same items.

    Attributes:
        histories: of the users.
        ids: theirs, in the same order.
        n: rows a user.
        items: ascending rows of the items that may be shown; ``None``: all.
        now: for rules and campaigns, which have their times; ``None``: the present.
        explain: whether every row gets its reason.
    """

    histories: Histories
    ids: pl.Series
    n: int
    items: NDArray[np.integer] | None
    now: datetime | None
    explain: bool

    def of(self, users: NDArray[np.intp], items: NDArray[np.integer] | None) -> "Asked":
        """The same of some of the users, who may be shown other items."""
        return replace(self, histories=self.histories.select(users), ids=self.ids.gather(users), items=items)
