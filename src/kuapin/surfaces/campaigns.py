"""The surface ``campaigns``: promotions that a user would use, live on their first day."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.ranking.phrases import PHRASES, Language, Phrases
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

    def campaigns(
        self,
        users: NDArray[np.integer],
        n: int,
        items: NDArray[np.integer] | None = None,
        *,
        explain: bool = False,
        language: Language = "en",
    ) -> Answer:
        """The ``n`` best offers of every user; fewer where fewer run.

        A coupon of two campaigns that the user may use comes once, as of the one that began last.

        Args:
            users: rows; -1 for a stranger, who gets what is open to everybody.
            n: offers a user.
            items: ascending rows of the items that may be shown: an offer for none of them is left out; ``None``: all.
            explain: whether every row gets its reason.
            language: of the reasons.

        Returns:
            Rows of ``setting.offers``, the score being the probability that the user uses it.
        """
        offers = self.setting.offers
        running = offers.running(self.now)
        running = running[offers.for_some(items)[running]]
        parts = []
        for first in range(0, len(users), USERS_AT_ONCE):
            block = np.asarray(users[first : first + USERS_AT_ONCE])
            features = self.setting.features(block, running, self.now, self.response.config.lately_days)
            scores = self.response.probability(features)
            usable = offers.may_use(block, running)
            for place in range(len(block)):
                usable[place] &= np.isin(running, offers.latest(running[usable[place]]))
                best = np.lexsort((running, -scores[place]))
                best = best[usable[place][best]][:n]
                said = self._reasons(running[best], features[place, best], PHRASES[language]) if explain else None
                asked = np.full(len(best), first + place, np.int64)
                parts.append(
                    Answer(asked, running[best].astype(np.int32), scores[place, best].astype(np.float32), said)
                )
        return join(parts)

    def title(self, offer: str, user: int = -1) -> str | None:
        """Title of an offer's campaign: of those that run for the user (row), if any, the one that began last.

        ``None``: there is no such offer, or it has none.
        """
        offers = self.setting.offers
        rows = np.flatnonzero(offers.table["offer_id"] == offer)
        running = np.intersect1d(rows, offers.running(self.now))
        usable = running[offers.may_use(np.array([user]), running)[0]]
        first = next((some for some in (usable, running, rows) if len(some)), None)
        if first is None:
            return None
        title: str | None = offers.table[c.TITLE][int(offers.latest(first)[0])]
        return title

    def _reasons(self, offers: NDArray[np.integer], features: NDArray[np.float32], say: Phrases) -> Reasons:
        said = [
            self._reason(int(offer), dict(zip(NAMES, row, strict=True)), say)
            for offer, row in zip(offers, features, strict=True)
        ]
        return Reasons([code for code, _ in said], [text for _, text in said])

    def _reason(self, offer: int, known: dict[str, np.float32], say: Phrases) -> tuple[str, str]:
        code, said = self._evidence(offer, known, say)
        end = int(self.setting.offers.end[offer])
        if not 0 <= (end - self.now) // DAY <= SOON_DAYS:
            return code, said
        return code, say.until(said, dt.datetime.fromtimestamp(end, dt.UTC).date())

    def _evidence(self, offer: int, known: dict[str, np.float32], say: Phrases) -> tuple[str, str]:
        times, items = round(float(np.expm1(known["bought"]))), round(float(np.expm1(known["bought_items"])))
        if times:
            return BOUGHT, say.offer_bought(items, times)
        if known["shelf"] > 0:
            return SHELF, say.offer_shelves()
        if known["brand"] > 0:
            return BRAND, say.offer_brands()
        if known["redeemed"] > 0:
            return USES, say.offers_used(round(float(np.expm1(known["redeemed"]))))
        return POPULAR, say.offer(self.setting.offers.table[c.TITLE][offer])
