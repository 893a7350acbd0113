"""The time that campaigns go by: the present, or, in a shop whose log is of the past, as if it had just ended."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from kuapin.data.baskets import DAY
from kuapin.data.histories import Histories

PAST_S = 30 * DAY
"""A log that ended so long ago is one of the past, and the shop's clock stands where it ended."""


@dataclass(frozen=True)
class ShopClock:
    """Goes on from the end of a log of the past, else with the calendar.

    Attributes:
        behind: seconds that it is behind the calendar.
    """

    behind: float

    @classmethod
    def of(cls, histories: Histories, loaded_at: float) -> "ShopClock":
        """The clock of a release.

        Args:
            histories: whose newest interaction is the end of the log; without times it has none.
            loaded_at: when the release was loaded, unix seconds.
        """
        ended = histories.timed and len(histories.items)
        behind = loaded_at - int(histories.times.max(initial=0)) if ended else 0.0
        return cls(behind if behind > PAST_S else 0.0)

    def now(self) -> int:
        """The shop's time, unix seconds."""
        return int(time.time() - self.behind)

    def lateness(self) -> str | None:
        """In words by which date campaigns go; ``None``: by the present."""
        if not self.behind:
            return None
        return (
            f"The log ended {self.behind / DAY:.0f} days ago: campaigns begin and end as if today were "
            f"{datetime.fromtimestamp(self.now(), UTC):%Y-%m-%d}. Import what came since, and they go by the calendar."
        )
