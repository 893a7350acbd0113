"""API keys: what is kept of them does not open anything."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from kuapin.data.sql.database import Database
from kuapin.data.sql.schema import KEYS
from kuapin.errors import InputError, UnknownIdError

PREFIX = "kuapin"
_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True)
class Key:
    """What is known of a key, its secret not among it.

    Attributes:
        key_id: the middle of the key, fit for logs.
        name: for people.
        scopes: what it may do.
        rate: requests a second; ``None``: the service's own.
        created_at: unix seconds.
        expires_at: unix seconds; ``None``: never.
        revoked_at: unix seconds; ``None``: it is in force.
    """

    key_id: str
    name: str
    scopes: tuple[str, ...]
    rate: float | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None

    def in_force(self, now: float) -> bool:
        """Whether it opens anything at a time."""
        return (self.expires_at is None or now < self.expires_at) and (self.revoked_at is None or now < self.revoked_at)


class Keyring:
    """The keys in one database.

    A key is ``kuapin_<id>_<secret>``. The secret has 256 random bits, so that its plain SHA-256 cannot be turned back,
    nor guessed; a slow hash, made for passwords, would add nothing but time to every request.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def create(
        self, name: str, scopes: Sequence[str], *, rate: float | None = None, expires_at: int | None = None
    ) -> tuple[Key, str]:
        """Make a key; its text is given out here and never again."""
        key_id, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), int(time.time())
        key = Key(key_id, name, tuple(sorted(set(scopes))), rate, now, expires_at, None)
        row = vars(key) | {"scopes": " ".join(key.scopes), "hash": _hash(secret)}
        with self.database.writing() as connection:
            connection.execute(sa.insert(KEYS), row)
        return key, f"{PREFIX}_{key_id}_{secret}"

    def rotate(self, key_id: str, overlap_s: int) -> tuple[Key, str]:
        """A new key with the rights of an old one, which ends after some seconds.

        Raises:
            UnknownIdError: there is no such key.
            InputError: it is not in force.
        """
        old, now = self.get(key_id), int(time.time())
        if not old.in_force(now):
            raise InputError(f"The key {key_id} is not in force, so that there is nothing to rotate. Create a new one.")
        new = self.create(old.name, old.scopes, rate=old.rate, expires_at=old.expires_at)
        self.revoke(key_id, now + overlap_s)
        return new

    def revoke(self, key_id: str, at: int | None = None) -> None:
        """End a key, now or at a time.

        Raises:
            UnknownIdError: there is no such key.
        """
        when = int(time.time()) if at is None else at
        with self.database.writing() as connection:
            done = connection.execute(sa.update(KEYS).where(KEYS.c.key_id == key_id).values(revoked_at=when))
        if not done.rowcount:
            raise UnknownIdError(f"There is no key {key_id!r}. List them: kuapin keys SHOP")

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        with self.database.reading() as connection:
            return [_key(row) for row in connection.execute(sa.select(KEYS).order_by(KEYS.c.created_at))]

    def get(self, key_id: str) -> Key:
        """One key.

        Raises:
            UnknownIdError: there is no such key.
        """
        found = next((key for key in self.all() if key.key_id == key_id), None)
        if found is None:
            raise UnknownIdError(f"There is no key {key_id!r}. List them: kuapin keys SHOP")
        return found

    def check(self, text: str) -> Key | None:
        """The key that a text is, if it is one and in force."""
        form = _FORM.fullmatch(text)
        if form is None:
            return None
        with self.database.reading() as connection:
            row = connection.execute(sa.select(KEYS).where(KEYS.c.key_id == form[1])).one_or_none()
        if row is None or not hmac.compare_digest(row.hash, _hash(form[2])):
            return None
        key = _key(row)
        return key if key.in_force(time.time()) else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: sa.Row) -> Key:  # type: ignore[type-arg]
    return Key(
        row.key_id, row.name, tuple(row.scopes.split()), row.rate, row.created_at, row.expires_at, row.revoked_at
    )
