"""Tombstones: who was erased, as a keyed hash, so that nobody comes back with a restored backup.

They lie in ``erasures.jsonl`` in the shop's folder, apart from the tables and the database that a backup would bring
back, and in the database, for the workers of other machines. Whoever opens the two brings both to the same content.
"""

import fcntl
import hmac
import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from kuapin import columns as c
from kuapin.data.people import privacy_key
from kuapin.data.sql.database import Database
from kuapin.data.sql.schema import ERASURES
from kuapin.durable import write_durably
from kuapin.errors import StoreError

FILE = "erasures.jsonl"
LOCK = ".erasures.lock"
NEVER = -1


@dataclass(frozen=True)
class Erasure:
    """One tombstone.

    Attributes:
        person: HMAC-SHA256 of the user id with the shop's privacy key, hexadecimal.
        erased_at: unix seconds, later than that of any before; what the person does later counts again.
        receipt: what the person is given to name the erasure by.
    """

    person: str
    erased_at: int
    receipt: str


class Erasures:
    """The tombstones of one shop.

    Args:
        folder: the shop's.
        database: of the service; ``None``: there is none yet.
    """

    def __init__(self, folder: Path, database: Database | None = None) -> None:
        self.folder = folder
        self.database = database

    def person(self, user: str) -> str:
        """The keyed hash of a user id."""
        return _hashed(privacy_key(self.folder), user)

    def all(self) -> dict[str, Erasure]:
        """Every tombstone by person; where one was erased twice, the later."""
        found: dict[str, Erasure] = {}
        for one in (*self._of_file(), *self._of_database()):
            if one.person not in found or found[one.person].erased_at < one.erased_at:
                found[one.person] = one
        return found

    def latest(self) -> int:
        """Time of the last tombstone; it rises with every one, whatever the clock does. ``NEVER``: there is none."""
        return max((one.erased_at for one in self.all().values()), default=NEVER)

    def synchronise(self) -> None:
        """Bring file and database to the same content."""
        every = self.all()
        with self._alone():
            known = self._of_file()
            missing = [one for one in every.values() if one not in known]
            if missing:
                self._write([*known, *missing])
        if self.database is not None:
            for one in set(every.values()) - set(self._of_database()):
                self._store(one)

    def add(self, user: str, newest: int = 0) -> Erasure:
        """Set the tombstone of a user; on return it is on the disk.

        Args:
            user: whose.
            newest: unix seconds of what the user did last: no clock that was put back leaves it uncovered.
        """
        with self._alone():
            at = max(int(time.time()), self.latest() + 1, newest)
            one = Erasure(self.person(user), at, secrets.token_hex(8))
            self._write([*self._of_file(), one])
        if self.database is not None:
            self._store(one)
        return one

    def keep(self, table: pl.DataFrame) -> pl.DataFrame:
        """A table without the rows of erased people that are older than the erasure, or of unknown age."""
        every = self.all()
        named = [name for name in (c.USER_ID, c.HEAD, c.TAIL) if name in table.columns]
        if not every or table.height == 0:
            return table
        for name in named:
            table = self._kept(table, name, every)
        return table

    def _kept(self, table: pl.DataFrame, name: str, every: Mapping[str, Erasure]) -> pl.DataFrame:
        """The same, by one column of people's ids."""
        key = privacy_key(self.folder)
        hashed = ((user, every.get(_hashed(key, user))) for user in table[name].unique().drop_nulls())
        gone = {user: one.erased_at for user, one in hashed if one is not None}
        if not gone:
            return table
        erased = pl.col(name).replace_strict(gone, default=None, return_dtype=pl.Int64)
        time = pl.col(c.TIMESTAMP) if c.TIMESTAMP in table.columns else pl.lit(None, pl.Int64)
        return table.filter(erased.is_null() | (time > erased).fill_null(value=False))

    def _of_file(self) -> list[Erasure]:
        path = self.folder / FILE
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            return [Erasure(**json.loads(line)) for line in lines if line.strip()]
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(f"{path} is damaged. Restore it: without it erased people would come back.") from error

    def _of_database(self) -> list[Erasure]:
        if self.database is None:
            return []
        with self.database.reading() as connection:
            query = sa.select(ERASURES.c.person, ERASURES.c.erased_at, ERASURES.c.receipt)
            return [Erasure(*row) for row in connection.execute(query)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from the file: two processes may erase at once, and both must be kept."""
        with (self.folder / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, every: Iterable[Erasure]) -> None:
        lines = [json.dumps(vars(one)) for one in every]
        write_durably(self.folder / FILE, ("\n".join(lines) + "\n").encode())

    def _store(self, one: Erasure) -> None:
        if self.database is None:
            return
        with self.database.writing() as connection:
            connection.execute(sa.delete(ERASURES).where(ERASURES.c.person == one.person))
            connection.execute(sa.insert(ERASURES), vars(one))


def _hashed(key: bytes, user: str) -> str:
    return hmac.digest(key, user.encode("utf-8", "surrogatepass"), "sha256").hex()
