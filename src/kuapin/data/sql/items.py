"""Items that were put or deleted while the service ran."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import sqlalchemy as sa

from kuapin import columns as c
from kuapin.data.schema import DTYPES, SCHEMAS
from kuapin.data.sql.database import Database
from kuapin.data.sql.schema import ITEM_CHANGES

_DTYPES = {column.name: DTYPES[column.kind] for column in SCHEMAS[c.ITEMS].columns}


def table_of(items: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Items as a table in the declared dtypes; attributes are text, and what does not fit is null."""
    names = dict.fromkeys(name for row in items for name in row)
    return pl.DataFrame(
        [
            pl.Series(name, [row.get(name) for row in items], _DTYPES.get(name, pl.String()), strict=False)
            for name in names
        ]
    )


@dataclass(frozen=True)
class ItemChange:
    """The last word on one item; ``fields`` are columns of the items table, ``{}`` of a deleted one."""

    number: int
    item_id: str
    fields: Mapping[str, Any]
    deleted: bool

    @property
    def hides(self) -> bool:
        """Whether nobody is shown the item from now on."""
        return self.deleted or self.fields.get(c.AVAILABLE) is False


class ItemStore:
    """The changes of items in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def position(self) -> int:
        """Number of the latest change; 0 where there is none."""
        with self.database.reading() as connection:
            return int(connection.scalar(sa.select(sa.func.coalesce(sa.func.max(ITEM_CHANGES.c.number), 0))) or 0)

    def put(self, item_id: str, fields: Mapping[str, Any]) -> int:
        """Keep an item whole, as it is from now on; returns the number of the change, which is on the disk."""
        return self._write(item_id, fields, deleted=False)

    def delete(self, item_id: str) -> int:
        """Take an item away; as ``put``."""
        return self._write(item_id, {}, deleted=True)

    def _write(self, item_id: str, fields: Mapping[str, Any], *, deleted: bool) -> int:
        t = ITEM_CHANGES.c
        with self.database.writing() as connection:
            number = int(connection.scalar(sa.select(sa.func.coalesce(sa.func.max(t.number), 0))) or 0) + 1
            connection.execute(sa.delete(ITEM_CHANGES).where(t.item_id == item_id))
            row = {"number": number, "fields": json.dumps(dict(fields)), "deleted": deleted}
            connection.execute(sa.insert(ITEM_CHANGES), {c.ITEM_ID: item_id, "changed_at": int(time.time())} | row)
        return number

    def since(self, position: int) -> list[ItemChange]:
        """The changes after a position, oldest first."""
        t = ITEM_CHANGES.c
        query = sa.select(t.number, t.item_id, t.fields, t.deleted).where(t.number > position).order_by(t.number)
        with self.database.reading() as connection:
            return [ItemChange(row[0], row[1], json.loads(row[2]), bool(row[3])) for row in connection.execute(query)]

    def apply(self, items: pl.DataFrame) -> pl.DataFrame:
        """The items table with all changes in it: new ones behind, deleted ones marked as not available.

        A deleted item keeps its row, so that what people did with it still counts.
        """
        changes = self.since(0)
        if not changes:
            return items
        put = [{c.ITEM_ID: one.item_id} | dict(one.fields) for one in changes if not one.deleted]
        if put:
            new = table_of(put)
            new = new.cast({name: items.schema[name] for name in new.columns if name in items.columns}, strict=False)
            place = {item: row for row, item in enumerate(items[c.ITEM_ID])}
            old = items.join(new.select(c.ITEM_ID), on=c.ITEM_ID, how="anti", maintain_order="left")
            order = [place.get(item, len(place)) for item in [*old[c.ITEM_ID], *new[c.ITEM_ID]]]
            merged = pl.concat([old, new], how="diagonal_relaxed")
            items = merged.with_columns(pl.Series("_place", order)).sort("_place", maintain_order=True).drop("_place")
        gone = [one.item_id for one in changes if one.deleted]
        if not gone:
            return items
        stock = pl.col(c.AVAILABLE) if c.AVAILABLE in items.columns else pl.lit(None, pl.Boolean)
        away = pl.col(c.ITEM_ID).is_in(gone)
        return items.with_columns(pl.when(away).then(pl.lit(value=False)).otherwise(stock).alias(c.AVAILABLE))
