"""Who was erased, in the memory of a process."""

from kuapin.data.sql.erasures import NEVER, Erasures

MOST = 100_000


class Erased:
    """The tombstones as they were last looked at.

    Args:
        erasures: of the shop.
    """

    def __init__(self, erasures: Erasures) -> None:
        self._erasures = erasures
        self._hashes: dict[str, str] = {}
        self.look()

    def look(self) -> None:
        """Read them anew: others may have erased somebody."""
        self._times = {person: one.erased_at for person, one in self._erasures.all().items()}

    def at(self, user: str) -> int:
        """When a user was erased, unix seconds; ``NEVER`` where he was not."""
        if not self._times:
            return NEVER
        if user not in self._hashes:
            if len(self._hashes) >= MOST:
                self._hashes.clear()
            self._hashes[user] = self._erasures.person(user)
        return self._times.get(self._hashes[user], NEVER)

    @property
    def latest(self) -> int:
        """When somebody was erased last; ``NEVER`` where nobody was."""
        return max(self._times.values(), default=NEVER)
