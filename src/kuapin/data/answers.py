"""Which interactions show that a user wanted the item."""

import numpy as np
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.histories import Histories

NOT_AN_ANSWER = ("search", "impression")
"""Events that do not show that a user wanted the item. The store keeps them; ``build_dataset`` takes none of them into
a history, so that nothing that was merely shown or looked for counts as met. All others do, ``redeem`` included."""


def is_answer(histories: Histories) -> NDArray[np.bool_]:
    """Whether an interaction shows that the user wanted the item, bool (n,): all but searches and impressions."""
    return ~np.isin(histories.events, [c.EVENTS.index(event) for event in NOT_AN_ANSWER])
