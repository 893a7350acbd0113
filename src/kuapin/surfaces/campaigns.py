"""The surface ``campaigns``: promotions that a user would use, live on their first day."""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
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
        """The ``n`` best offers of every user; fewer where fewer run. A coupon of two campaigns comes once.

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
            scores[~offers.may_use(block, running)] = -1
            for place in range(len(block)):
                best = np.lexsort((running, -scores[place]))
                best = best[scores[place][best] >= 0]
                best = best[_first_of(self._ids[running[best]])][:n]
                said = self._reasons(running[best], features[place, best], PHRASES[language]) if explain else None
                asked = np.full(len(best), first + place, np.int64)
                parts.append(
                    Answer(asked, running[best].astype(np.int32), scores[place, best].astype(np.float32), said)
                )
        return join(parts)

    def title(self, offer: str) -> str | None:
        """Title of an offer's campaign, of several the latest that has begun; ``None``: there is no such offer."""
        rows = np.flatnonzero(self.setting.offers.table["offer_id"] == offer)
        if len(rows) == 0:
            return None
        start = self.setting.offers.start[rows]
        title: str | None = self.setting.offers.table[c.TITLE][int(rows[np.lexsort((start, start <= self.now))[-1]])]
        return title

    @cached_property
    def _ids(self) -> NDArray[np.int64]:
        """A number for every offer's id, int64 (n,): offers of one coupon have the same."""
        return self.setting.offers.table["offer_id"].rank("dense").cast(pl.Int64).to_numpy()

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


def _first_of(ids: NDArray[np.integer]) -> NDArray[np.intp]:
    """Places at which an id stands for the first time, ascending."""
    return np.sort(np.unique(ids, return_index=True)[1])
