"""Who is signed in: a signed cookie instead of the key, good for a short time and as long as the key itself.

The cookie holds the id of a key and two times, signed with a secret of the shop. Nothing is stored, so that several
processes know the same sessions; a key that is taken back ends all of its sessions.
"""

import hmac
import time
from dataclasses import dataclass

from kuapin.data.sql.keys import Keyring
from kuapin.errors import UnknownIdError

COOKIE = "kuapin_console"
IDLE_S = 30 * 60
"""A session ends when nothing is asked for so long."""
LONGEST_TIME = 12
"""Digits of a time in a cookie, at most."""
LONGEST_S = 8 * 3600
"""It ends after so long in any case."""
SCOPE = "admin"


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in.

    Attributes:
        key_id: of the key; empty where nobody needs one.
        name: of the key.
        started: unix seconds.
        form: what every form that changes something must send back.
    """

    key_id: str
    name: str
    started: int
    form: str


class Sessions:
    """Makes and reads cookies.

    Args:
        keyring: the service's keys.
        secret: of the shop.
    """

    def __init__(self, keyring: Keyring, secret: bytes) -> None:
        self._keyring = keyring
        self._secret = hmac.digest(secret, b"console", "sha256")

    def sign_in(self, text: str) -> str | None:
        """The cookie for a key; ``None`` where it is wrong, not in force, or lacks the scope admin."""
        key = self._keyring.check(text)
        if key is None or SCOPE not in key.scopes:
            return None
        now = int(time.time())
        return self._cookie(key.key_id, now, now)

    def read(self, cookie: str, now: float | None = None) -> Session | None:
        """Whose cookie it is; ``None`` where it was made up or has ended, or its key has."""
        now = time.time() if now is None else now
        key_id, _, rest = cookie.partition(".")
        started, _, rest = rest.partition(".")
        seen, _, _ = rest.partition(".")
        if not all(one.isdecimal() and one.isascii() and len(one) <= LONGEST_TIME for one in (started, seen)):
            return None
        if not hmac.compare_digest(cookie.encode(), self._cookie(key_id, int(started), int(seen)).encode()):
            return None
        if now >= int(seen) + IDLE_S or now >= int(started) + LONGEST_S:
            return None
        try:
            key = self._keyring.get(key_id)
        except UnknownIdError:
            return None
        if not key.in_force(now) or SCOPE not in key.scopes:
            return None
        return Session(key.key_id, key.name, int(started), self._signed("form", key_id, started))

    def renewed(self, session: Session) -> str:
        """A cookie that was just seen."""
        return self._cookie(session.key_id, session.started, int(time.time()))

    def of_everybody(self) -> Session:
        """The session where the service asks nobody for a key."""
        return Session("", "", 0, self._signed("form", "", "0"))

    def _cookie(self, key_id: str, started: int, seen: int) -> str:
        signature = self._signed("session", key_id, str(started), str(seen))
        return f"{key_id}.{started}.{seen}.{signature}"

    def _signed(self, *parts: str) -> str:
        return hmac.digest(self._secret, "\n".join(parts).encode(), "sha256").hex()
