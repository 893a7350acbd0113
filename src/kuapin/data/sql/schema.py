"""The tables of the service's database, as SQLAlchemy Core has them; ``migrations/`` makes them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from kuapin import columns as c


class AnyText(TypeDecorator[str]):
    r"""Text of any characters. PostgreSQL takes no NUL: it is stored as ``\0``, and a backslash as two."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """To the database."""
        return value.replace("\\", "\\\\").replace("\0", "\\0") if value and ("\\" in value or "\0" in value) else value

    def process_result_value(self, value: Any, dialect: Any) -> str | None:
        """Out of the database."""
        if value is None:
            return None
        return "\\".join(part.replace("\\0", "\0") for part in str(value).split("\\\\"))


METADATA = sa.MetaData()
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite counts up by itself in a column of this very type alone."""

INTERACTIONS = sa.Table(
    c.INTERACTIONS,
    METADATA,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column(c.EVENT_ID, AnyText, nullable=False, unique=True),
    sa.Column(c.USER_ID, AnyText, nullable=False),
    sa.Column(c.ITEM_ID, AnyText),
    sa.Column(c.TIMESTAMP, sa.BigInteger, nullable=False),
    sa.Column(c.EVENT, sa.Text, nullable=False),
    sa.Column(c.VALUE, sa.Float),
    sa.Column(c.TEXT, AnyText),
    sa.Column(c.QUERY, AnyText),
    sa.Column(c.BASKET_ID, AnyText),
    sa.Column(c.SESSION_ID, AnyText),
    sa.Column(c.CAMPAIGN_ID, AnyText),
    sa.Column(c.RANKING_ID, AnyText),
    sa.Column(c.POSITION, sa.BigInteger),
    sa.Column(c.PROPENSITY, sa.Float),
    sa.Column(c.SURFACE, AnyText),
    sa.Column(c.RELEASE, AnyText),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Index("interactions_of_user", c.USER_ID, "number"),
    sa.Index("interactions_of_session", c.SESSION_ID),
    sa.Index("interactions_of_ranking", c.RANKING_ID),
    sa.Index("interactions_by_age", "received_at"),
    sqlite_autoincrement=True,
)
"""Append-only; ``number`` rises in the order of the commits, and none is given twice."""

ITEM_CHANGES = sa.Table(
    "item_changes",
    METADATA,
    sa.Column(c.ITEM_ID, AnyText, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False, index=True),
    sa.Column("fields", AnyText, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
)
"""The last word on every item that was put or deleted; ``fields`` is a JSON object."""

ERASURES = sa.Table(
    "erasures",
    METADATA,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("erased_at", sa.BigInteger, nullable=False),
    sa.Column("receipt", sa.Text, nullable=False),
)
"""Tombstones: ``person`` is a keyed hash."""

KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("rate", sa.Float),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
)

EXPERIMENTS = sa.Table(
    "experiments",
    METADATA,
    sa.Column("experiment_id", sa.Text, primary_key=True),
    sa.Column("control", sa.Text, nullable=False),
    sa.Column("challenger", sa.Text, nullable=False),
    sa.Column("terms", sa.Text, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("decision", sa.Text),
    sa.Column("standing", sa.Text),
)
"""Releases compared on people; ``terms`` and ``standing`` are JSON objects. Who gets which follows from the id."""
