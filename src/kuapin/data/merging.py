"""How the rows of an import meet those that are there, by what the schema says of the table."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from kuapin import columns as c
from kuapin.data.schema import SCHEMAS
from kuapin.data.stacking import stack

_PLACE = "__place__"


@dataclass(frozen=True)
class Change:
    """What an import did to one table, in rows.

    Attributes:
        added: rows with a key that was not there.
        replaced: rows that were there with other values and gave way.
        unchanged: rows that were there just so.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.replaced)


def upsert(table: str, old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, Change]:
    """Rows of ``new`` take the place of rows of ``old`` with the same key; the others follow at the end.

    A column that ``new`` lacks keeps what it had, so that a file of ids and prices changes prices alone. Of rows with
    one key within ``new`` the last counts. ``labels`` are different: an item may have several of one task, and all of
    them are exchanged.
    """
    if table == c.LABELS:
        return _exchange(old, new)
    key = list(SCHEMAS[table].key)
    new = new.unique(key, keep="last", maintain_order=True)
    places = old.select(key).with_row_index(_PLACE)
    met = new.select(key).join(places, on=key, how="left", maintain_order="left")[_PLACE]
    known = met.is_not_null()
    if not known.any():
        return stack([old, new]), Change(added=new.height)
    rows = old[met.filter(known)]
    update = new.filter(known)
    updated = stack([update.with_columns(rows[name] for name in old.columns if name not in new.columns), old.clear()])
    before = stack([rows, updated.clear()])
    differs = pl.select(
        pl.any_horizontal(updated[name].ne_missing(before[name]) for name in updated.columns)
    ).to_series()
    replaced = int(differs.sum())
    change = Change(new.height - update.height, replaced, update.height - replaced)
    if not change:
        return old, change
    merged = stack([old, updated, new.filter(~known)])
    order = np.arange(old.height)
    order[met.filter(known).to_numpy()] = np.arange(old.height, old.height + update.height)
    return merged[np.concatenate((order, np.arange(old.height + update.height, merged.height)))], change


def append(old_ids: pl.Series, new: pl.DataFrame) -> tuple[pl.DataFrame, Change]:
    """The events of ``new`` whose ``event_id`` is not among ``old_ids``; an event that is there stays as it is."""
    fresh = new.filter(~new[c.EVENT_ID].is_in(old_ids.implode())) if old_ids.len() else new
    return fresh, Change(added=fresh.height, unchanged=new.height - fresh.height)


def _exchange(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, Change]:
    key, new = [c.ITEM_ID, c.TASK], new.unique(maintain_order=True)
    ours, theirs = stack([new, old.clear()]), stack([old, new.clear()])
    same = ours.join(theirs, on=ours.columns, how="semi", nulls_equal=True).height
    rest = old.join(new, on=key, how="anti", maintain_order="left")
    gone = old.height - rest.height - same
    change = Change(new.height - same, gone, same)
    return (stack([rest, new]) if change else old), change
