"""The database of a service, opened: SQLite beside the shop's tables, or PostgreSQL by a URL."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from kuapin.errors import InputError, StoreError

log = logging.getLogger("kuapin.data")
BUSY_S = 10
"""How long a SQLite writer waits for another."""
_WRITERS = 0x6B756170
"""Name of PostgreSQL's lock of those who write."""
_POSTGRES = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
"""A server that is gone without a word is given up after so many seconds, and milliseconds on an open connection."""
_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Connections of one database.

    Args:
        engine: of SQLAlchemy; use ``open_database``.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one state.

        Raises:
            StoreError: the database does not answer.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise failed(error) from error

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction, one writer at a time: numbers that count up are seen in the order in which they were given.

        When the block has ended, what was written is on the disk.

        Raises:
            StoreError: nothing was written.
        """
        try:
            with self.engine.connect() as connection:
                # Taken now: a transaction that reads first and writes later may be refused in between
                take = "BEGIN IMMEDIATE" if self.is_sqlite else f"SELECT pg_advisory_xact_lock({_WRITERS})"
                connection.exec_driver_sql(take)
                try:
                    yield connection
                    connection.commit()
                except BaseException:
                    connection.rollback()
                    raise
        except SQLAlchemyError as error:
            raise failed(error) from error

    def compact(self) -> None:
        """Leave nothing of deleted rows in SQLite's log beside the file; as far as nobody reads just now."""
        if self.is_sqlite:
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Drop all connections."""
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Open a database and bring it to the newest form.

    Args:
        url: of SQLAlchemy: ``sqlite:////shop/service.sqlite`` or ``postgresql+psycopg://user@host/name``.

    Raises:
        InputError: the URL is none, or of another kind.
        StoreError: the database does not answer, or is of a newer Kuapin.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise InputError(
                f"The database is {parsed.get_backend_name()}; sqlite and postgresql are known. Correct it."
            )
        engine = _engine(parsed)
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise InputError(
            f"The database's URL cannot be used ({_said(error)}). PostgreSQL needs: pip install 'kuapin[postgres]'"
        ) from error
    database = Database(engine)
    _upgrade(database)
    return database


def failed(error: SQLAlchemyError) -> StoreError:
    """What is told of a failure; what the driver says may name hosts and rows, and goes into the log."""
    quotes = isinstance(error, DataError | IntegrityError)  # what was to be written, which may be of a person
    log.warning("The database did not do it: %s", type(error).__name__ if quotes else _said(error))
    return StoreError("The database did not do it; the log says why. Nothing was written; try again.")


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "postgresql":
        return sa.create_engine(url, pool_pre_ping=True, pool_size=4, max_overflow=4, connect_args=_POSTGRES)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_S, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _set(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours to say: the driver's own comes late and takes no lock
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "mmap_size=268435456"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _upgrade(database: Database) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        with database.reading() as connection:
            if (
                MigrationContext.configure(connection).get_current_revision()
                == ScriptDirectory.from_config(config).get_current_head()
            ):
                return
        with database.writing() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"The database is of another version of Kuapin ({error}). Install the newest.") from error


def _said(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())[:200] or type(cause).__name__
