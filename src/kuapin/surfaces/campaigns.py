"""The surface ``campaigns``: promotions that a user would use, live on their first day."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.ranking.response import DAY, NAMES, Response, Setting
from kuapin.surfaces.answer import Answer, Reasons, join

NAME = "campaigns"
BOUGHT, SHELF, BRAND, USES, POPULAR = CODES = ("bought", "shelf", "brand", "uses_offers", "popular")
"""Reason codes, the first that holds: bought what it is for, or from its shelves, or its brands; uses offers at all."""
USERS_AT_ONCE = 256
SOON_DAYS = 7


@dataclass(frozen=True)
class Campaigns:
    """Ranks the offers that run and that a user may use by how likely he is to use them.

    Attributes:
        response: of the live release.
        setting: what it reads: purchases, offers and their uses, as the shop has them now.
        now: unix seconds.
    """

    response: Response
    setting: Setting
    now: int

    def campaigns(self, users: NDArray[np.integer], n: int, *, explain: bool = False) -> Answer:
        """The ``n`` best offers of every user; fewer where fewer run.

        Args:
            users: rows; -1 for a stranger, who gets what is open to everybody.
            n: offers a user.
            explain: whether every row gets its reason.

        Returns:
            Rows of ``setting.offers``, the score being the probability that the user uses it.
        """
        offers = self.setting.offers
        running = offers.running(self.now)
        parts = []
        for first in range(0, len(users), USERS_AT_ONCE):
            block = np.asarray(users[first : first + USERS_AT_ONCE])
            features = self.setting.features(block, running, self.now, self.response.config.lately_days)
            scores = self.response.probability(features)
            scores[~offers.may_use(block, running)] = -1
            for place in range(len(block)):
                best = np.lexsort((running, -scores[place]))
                best = best[scores[place][best] >= 0][:n]
                reasons = self._reasons(running[best], features[place, best]) if explain else None
                asked = np.full(len(best), first + place, np.int64)
                parts.append(
                    Answer(asked, running[best].astype(np.int32), scores[place, best].astype(np.float32), reasons)
                )
        return join(parts)

    def _reasons(self, offers: NDArray[np.integer], features: NDArray[np.float32]) -> Reasons:
        said = [
            self._reason(int(offer), dict(zip(NAMES, row, strict=True)))
            for offer, row in zip(offers, features, strict=True)
        ]
        return Reasons([code for code, _ in said], [text for _, text in said])

    def _reason(self, offer: int, known: dict[str, np.float32]) -> tuple[str, str]:
        table, until = self.setting.offers.table, self._until(offer)
        times, items = round(float(np.expm1(known["bought"]))), round(float(np.expm1(known["bought_items"])))
        if times:
            of = "item" if items == 1 else "items"
            return BOUGHT, f"You bought {items:,} {of} that it is for, {times:,} time{'' if times == 1 else 's'}{until}"
        if known["shelf"] > 0:
            return SHELF, f"You buy from the shelves that it is for{until}"
        if known["brand"] > 0:
            return BRAND, f"You buy the brands that it is for{until}"
        if known["redeemed"] > 0:
            return USES, f"You used {round(float(np.expm1(known['redeemed']))):,} offers before{until}"
        return POPULAR, f"{table[c.TITLE][offer] or 'Open to everybody'}{until}"

    def _until(self, offer: int) -> str:
        left = int(self.setting.offers.end[offer] - self.now) // DAY
        if not 0 <= left <= SOON_DAYS:
            return ""
        day = dt.datetime.fromtimestamp(int(self.setting.offers.end[offer]), dt.UTC).date().isoformat()
        return f"; it ends on {day}"
