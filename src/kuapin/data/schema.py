"""The six tables: their columns, what a column holds, and how rows of a second import meet those of the first."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from kuapin import columns as c

EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
"""Times before this are taken for mistakes (a zero, a counter, another unit)."""

FUTURE_DAYS = 1
"""So far ahead of now a time may lie: clocks are not alike."""

HIGHEST_PRICE = 1e12


class Kind(StrEnum):
    """What a column holds; it decides how its cells are read."""

    ID = "id"
    TEXT = "text"
    PATH = "category path"
    NUMBER = "number"
    WHOLE = "whole number"
    FLAG = "true or false"
    TIME = "time"
    IDS = "list of ids"


DTYPES: dict[Kind, pl.DataType] = {
    Kind.ID: pl.String(),
    Kind.TEXT: pl.String(),
    Kind.PATH: pl.String(),
    Kind.NUMBER: pl.Float64(),
    Kind.WHOLE: pl.Int64(),
    Kind.FLAG: pl.Boolean(),
    Kind.TIME: pl.Int64(),
    Kind.IDS: pl.List(pl.String()),
}
"""The dtype of a column after reading; times are unix seconds (UTC)."""


@dataclass(frozen=True)
class Column:
    """One declared column.

    Attributes:
        name: its name in our layout.
        kind: what it holds.
        required: the column must be there (which of its cells may be null is a rule of the table).
        low: smallest value allowed, ``None`` for no bound.
        high: largest value allowed, ``None`` for no bound.
        future: whether a time may lie ahead of now.
    """

    name: str
    kind: Kind
    required: bool = False
    low: float | None = None
    high: float | None = None
    future: bool = False


@dataclass(frozen=True)
class Schema:
    """One declared table.

    Attributes:
        name: the table's name.
        columns: the declared columns; a table may have any others, which are kept as attributes.
        key: a later import replaces rows with the same key. Interactions are keyed by ``event_id`` and never replaced.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that must be there."""
        return tuple(column.name for column in self.columns if column.required)

    @property
    def declared(self) -> frozenset[str]:
        """Names of all declared columns."""
        return frozenset(column.name for column in self.columns)


_ITEMS = Schema(
    c.ITEMS,
    (
        Column(c.ITEM_ID, Kind.ID, required=True),
        Column(c.TITLE, Kind.TEXT),
        Column(c.DESCRIPTION, Kind.TEXT),
        Column(c.CATEGORY, Kind.PATH),
        Column(c.BRAND, Kind.TEXT),
        Column(c.PRICE, Kind.NUMBER, low=0, high=HIGHEST_PRICE),
        Column(c.IMAGE, Kind.TEXT),
        Column(c.AVAILABLE, Kind.FLAG),
        Column(c.CREATED_AT, Kind.TIME, future=True),
    ),
    key=(c.ITEM_ID,),
)

_INTERACTIONS = Schema(
    c.INTERACTIONS,
    (
        Column(c.USER_ID, Kind.ID, required=True),
        Column(c.ITEM_ID, Kind.ID, required=True),
        Column(c.TIMESTAMP, Kind.TIME),
        Column(c.EVENT, Kind.TEXT),
        Column(c.VALUE, Kind.NUMBER),
        Column(c.TEXT, Kind.TEXT),
        Column(c.QUERY, Kind.TEXT),
        Column(c.EVENT_ID, Kind.ID),
        Column(c.BASKET_ID, Kind.ID),
        Column(c.SESSION_ID, Kind.ID),
        Column(c.CAMPAIGN_ID, Kind.ID),
        Column(c.RANKING_ID, Kind.ID),
        Column(c.POSITION, Kind.WHOLE, low=0),
        Column(c.PROPENSITY, Kind.NUMBER, low=0, high=1),
    ),
    key=(c.EVENT_ID,),
)

_USERS = Schema(c.USERS, (Column(c.USER_ID, Kind.ID, required=True),), key=(c.USER_ID,))

_CAMPAIGNS = Schema(
    c.CAMPAIGNS,
    (
        Column(c.CAMPAIGN_ID, Kind.ID, required=True),
        Column(c.TITLE, Kind.TEXT, required=True),
        Column(c.KIND, Kind.TEXT),
        Column(c.START, Kind.TIME, future=True),
        Column(c.END, Kind.TIME, future=True),
        Column(c.DISCOUNT, Kind.NUMBER, low=0),
        Column(c.ITEM_IDS, Kind.IDS),
        Column(c.CATEGORY, Kind.PATH),
        Column(c.BRAND, Kind.TEXT),
    ),
    key=(c.CAMPAIGN_ID,),
)

_RELATIONS = Schema(
    c.RELATIONS,
    tuple(Column(name, Kind.ID, required=True) for name in (c.HEAD, c.RELATION, c.TAIL)),
    key=(c.HEAD, c.RELATION, c.TAIL),
)

# An item may have several labels of one task (tags): a later import replaces all labels of that item and task.
_LABELS = Schema(
    c.LABELS,
    tuple(Column(name, Kind.ID, required=True) for name in (c.ITEM_ID, c.TASK, c.LABEL)),
    key=(c.ITEM_ID, c.TASK),
)

SCHEMAS: dict[str, Schema] = {
    schema.name: schema for schema in (_ITEMS, _INTERACTIONS, _USERS, _CAMPAIGNS, _RELATIONS, _LABELS)
}
