"""The newest stretch of a shop's log: what came since its release was trained, and who can be asked about it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.counts import counted
from kuapin.data.dataset import NOT_AN_ANSWER
from kuapin.errors import InputError
from kuapin.model import LOGGED
from kuapin.workspace import Shop

SINCE = 0.5
"""Share of what came since the release was trained that a new model may learn from; both are asked for the rest."""
LAST = 0.1
"""Share of the log that is asked for where too little came since the release was trained."""
LAST_OF_USER = 0.2
"""The same share of every history where the log has no times."""


@dataclass(frozen=True)
class Newest:
    """A log cut in two.

    Attributes:
        before: user_id, item_id, timestamp and event of what both models may read.
        after: of what is asked for.
        unseen: whether the live release has learnt from none of ``after``.
        cut: unix seconds from which on it was asked for; ``None``: the end of every history.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    unseen: bool
    cut: int | None

    @property
    def users(self) -> pl.Series:
        """Those who did something in both parts, in alphabetical order."""
        both = set(self.before[c.USER_ID]) & set(self.after[c.USER_ID])
        return pl.Series(c.USER_ID, sorted(both), dtype=pl.String)


def newest_stretch(shop: Shop, learnt_until: int | None, least_users: int) -> Newest:
    """Cut the log between what came since the live release was trained, or earlier where too little came.

    Args:
        shop: with a log.
        learnt_until: unix seconds of the last interaction that the release knows; ``None`` where it does not say.
        least_users: so many users must have come back after the cut.

    Raises:
        InputError: there is no log, or not even its last part has so many users.
    """
    log = shop.store.read(c.INTERACTIONS, list(LOGGED))
    if c.EVENT in log.columns:
        log = log.filter(~pl.col(c.EVENT).is_in(NOT_AN_ANSWER).fill_null(value=False))
    log = log.filter(pl.col(c.ITEM_ID).is_not_null())
    if log.height == 0:
        raise InputError(f"{shop.path} has no interactions, so that no model can be measured. Import some first.")
    timed = c.TIMESTAMP in log.columns and log[c.TIMESTAMP].null_count() == 0
    found = _cut(log, learnt_until, least_users) if timed else _parted(log, _ends(log), unseen=False, cut=None)
    if len(found.users) < least_users:
        raise InputError(
            f"{counted(len(found.users), 'user')} came back in the newest part of the log, and the gate asks for "
            f"{least_users} at least: what is live stays live. "
            f"Import more log, lower gate.least_users, or train without a comparison: kuapin train {shop.path}"
        )
    return found


def _cut(log: pl.DataFrame, learnt_until: int | None, least_users: int) -> Newest:
    times = log[c.TIMESTAMP].cast(pl.Int64).to_numpy()
    if learnt_until is not None:
        later = times[times > learnt_until]
        if len(later):
            cut = max(int(np.quantile(later, SINCE, method="lower")), learnt_until + 1)
            since = _parted(log, times >= cut, unseen=True, cut=cut)
            if len(since.users) >= least_users:
                return since
    cut = int(np.quantile(times, 1 - LAST, method="lower"))
    return _parted(log, times >= cut, unseen=False, cut=cut)


def _parted(log: pl.DataFrame, after: NDArray[np.bool_], *, unseen: bool, cut: int | None) -> Newest:
    mask = pl.Series(after)
    return Newest(log.filter(~mask), log.filter(mask), unseen, cut)


def _ends(log: pl.DataFrame) -> NDArray[np.bool_]:
    """Which rows are the end of their user's history, by row order; nobody's whole history is an end."""
    place = pl.int_range(pl.len()).over(c.USER_ID)
    length = pl.len().over(c.USER_ID)
    hidden = (length * LAST_OF_USER).ceil()
    return log.select(((length - place) <= hidden) & (length > 1)).to_series().to_numpy()
