"""Events of a running service: written in groups, each durable before anyone is told, and read back by person."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from kuapin import columns as c
from kuapin.data.dataset import NOT_AN_ANSWER
from kuapin.data.sql.database import Database
from kuapin.data.sql.schema import INTERACTIONS
from kuapin.errors import StoreError

Row = Mapping[str, Any]
GROUP = 5_000
"""Events that are committed together, at most."""
AT_ONCE = 500
"""Values that are named in one statement, at most."""
_ALL = [column.name for column in INTERACTIONS.columns if column.name != "number"]


def _done_by(column: sa.Column[Any]) -> sa.Select[Any]:
    """What some users, or sessions, did after a position; made once, as every list asks for it."""
    t = INTERACTIONS.c
    return (
        sa.select(column, t.item_id, t.timestamp, t.event)
        .where(column.in_(sa.bindparam("asked", expanding=True)))
        .where(t.number > sa.bindparam("position"), t.item_id.is_not(None), t.event.not_in(NOT_AN_ANSWER))
        .order_by(t.timestamp, t.number)
    )


_OF_USERS, _OF_SESSIONS = _done_by(INTERACTIONS.c.user_id), _done_by(INTERACTIONS.c.session_id)


@dataclass(frozen=True)
class Written:
    """What became of a batch: events that are new, and those that were there already."""

    added: int
    known: int


class EventStore:
    """The events in one database.

    Args:
        database: opened.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def position(self) -> int:
        """Number of the latest event; 0 where there is none."""
        with self.database.reading() as connection:
            return int(connection.scalar(sa.select(sa.func.coalesce(sa.func.max(INTERACTIONS.c.number), 0))) or 0)

    def add(self, batches: Sequence[Sequence[Row]]) -> list[Written]:
        """Append batches of events in one transaction; on return they are on the disk.

        An event whose id is there already stays as it is. Of one id within the batches the first counts.

        Args:
            batches: rows with the columns of ``interactions``; ``event_id``, ``user_id``, ``timestamp`` and ``event``
                are required.

        Raises:
            StoreError: nothing was written.
        """
        now = int(time.time())
        with self.database.writing() as connection:
            known = self._known(connection, [row[c.EVENT_ID] for batch in batches for row in batch])
            fresh: list[dict[str, Any]] = []
            written = []
            for batch in batches:
                before = len(fresh)
                for row in batch:
                    if row[c.EVENT_ID] not in known:
                        known.add(row[c.EVENT_ID])
                        fresh.append({name: row.get(name) for name in _ALL} | {"received_at": now})
                written.append(Written(len(fresh) - before, len(batch) - len(fresh) + before))
            if fresh:
                insert = sqlite.insert if self.database.is_sqlite else postgresql.insert
                connection.execute(insert(INTERACTIONS).on_conflict_do_nothing(), fresh)
        return written

    def _known(self, connection: sa.Connection, ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for first in range(0, len(ids), AT_ONCE):
            asked = ids[first : first + AT_ONCE]
            found.update(
                connection.scalars(sa.select(INTERACTIONS.c.event_id).where(INTERACTIONS.c.event_id.in_(asked)))
            )
        return found

    def since(self, position: int, users: Sequence[str]) -> dict[str, list[tuple[str, int, str]]]:
        """What some users did after a position: user → (item, unix seconds, event), oldest first.

        Impressions and searches show nothing that a user wanted, and are left out.
        """
        return self._latest(_OF_USERS, users, position)

    def of_sessions(self, sessions: Sequence[str]) -> dict[str, list[tuple[str, int, str]]]:
        """What was done in some sessions, as ``since``."""
        return self._latest(_OF_SESSIONS, sessions, 0)

    def _latest(
        self, query: sa.Select[Any], values: Sequence[str], position: int
    ) -> dict[str, list[tuple[str, int, str]]]:
        found = dict[str, list[tuple[str, int, str]]]()
        with self.database.reading() as connection:
            for first in range(0, len(values), AT_ONCE):
                asked = {"asked": values[first : first + AT_ONCE], "position": position}
                for value, item, when, event in connection.execute(query, asked):
                    found.setdefault(value, []).append((item, when, event))
        return found

    def table(self, columns: Sequence[str] | None = None, until: int | None = None) -> pl.DataFrame:
        """All events as the table ``interactions``, in the order in which they came.

        Args:
            columns: only these (those that exist).
            until: position of the last event wanted; ``None``: all.
        """
        kept = [name for name in _ALL if name != "received_at" and (columns is None or name in columns)]
        query = sa.select(*(INTERACTIONS.c[name] for name in kept)).order_by(INTERACTIONS.c.number)
        if until is not None:
            query = query.where(INTERACTIONS.c.number <= until)
        schema = {name: _DTYPES.get(name, pl.String()) for name in kept}
        with self.database.reading() as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        return pl.DataFrame(rows, schema=schema, orient="row")

    def outcomes(self, since: int) -> pl.DataFrame:
        """What followed from what was shown: one row a surface, release and item.

        An impression led to a click (or purchase) where the same person did that with the item, naming the same
        ranking. However often somebody clicks, an impression counts once.

        Args:
            since: unix seconds of the oldest impression.

        Returns:
            surface, release, item_id, and shown, clicked, bought (Int64).
        """
        shown, later = INTERACTIONS.alias("shown"), INTERACTIONS.alias("later")

        def followed(event: str) -> sa.ColumnElement[int]:
            same = [shown.c[name] == later.c[name] for name in (c.RANKING_ID, c.ITEM_ID, c.USER_ID)]
            there = sa.exists().where(later.c.event == event, *same)
            return sa.func.sum(sa.case((there, 1), else_=0))

        groups = [shown.c[name] for name in (c.SURFACE, c.RELEASE, c.ITEM_ID)]
        query = (
            sa.select(*groups, sa.func.count(), followed("click"), followed("purchase"))
            .where(shown.c.event == "impression", shown.c.timestamp >= since)
            .group_by(*groups)
        )
        texts = (c.SURFACE, c.RELEASE, c.ITEM_ID)
        schema = {name: pl.String if name in texts else pl.Int64 for name in (*texts, "shown", "clicked", "bought")}
        with self.database.reading() as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        return pl.DataFrame(rows, schema=schema, orient="row")

    def newest(self, user: str) -> int:
        """When a user did something last, unix seconds; 0 where he did nothing."""
        t = INTERACTIONS.c
        with self.database.reading() as connection:
            return int(connection.scalar(sa.select(sa.func.max(t.timestamp)).where(t.user_id == user)) or 0)

    def erase(self, user: str) -> int:
        """Delete all events of one user; returns how many there were."""
        with self.database.writing() as connection:
            gone = connection.execute(sa.delete(INTERACTIONS).where(INTERACTIONS.c.user_id == user)).rowcount
        self.database.compact()
        return gone

    def drop_older(self, than: int) -> int:
        """Delete events that came before a time (unix seconds); returns how many there were."""
        with self.database.writing() as connection:
            return connection.execute(sa.delete(INTERACTIONS).where(INTERACTIONS.c.received_at < than)).rowcount


_DTYPES: dict[str, pl.DataType] = {
    c.TIMESTAMP: pl.Int64(),
    c.POSITION: pl.Int64(),
    c.VALUE: pl.Float64(),
    c.PROPENSITY: pl.Float64(),
}


class GroupCommit:
    """One thread that writes what many ask for: whatever waits is committed together, for a disk syncs so often only.

    Args:
        store: where to.
        waiting: batches that may wait at most; more are refused.
    """

    def __init__(self, store: EventStore, waiting: int = 256) -> None:
        self.store = store
        self.limit = waiting
        self._queue: SimpleQueue[tuple[Sequence[Row], Future[Written]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Batches that wait."""
        return self._queue.qsize()

    def put(self, batch: Sequence[Row]) -> Future[Written]:
        """Ask for a batch to be written; the future is done once it is on the disk.

        Raises:
            StoreError: too many batches wait.
        """
        if self.waiting >= self.limit:
            raise StoreError(f"{self.waiting} batches of events wait to be written, {self.limit} may. Try again later.")
        future: Future[Written] = Future()
        self._queue.put((batch, future))
        return future

    def close(self) -> None:
        """Write what waits, then stop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            group, size = [self._queue.get()], 0
            while group[-1] is not None and size < GROUP:
                size += len(group[-1][0])
                if self._queue.empty():
                    break
                group.append(self._queue.get())
            going = group[-1] is not None
            self._write([one for one in group if one is not None])

    def _write(self, group: list[tuple[Sequence[Row], Future[Written]]]) -> None:
        if not group:
            return
        try:
            written = self.store.add([batch for batch, _ in group])
        except Exception as error:
            for _, future in group:
                future.set_exception(error)
        else:
            for (_, future), one in zip(group, written, strict=True):
                future.set_result(one)
