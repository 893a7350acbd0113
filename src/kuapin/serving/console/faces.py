"""What people know things by: rows of answers with titles, shelves and brands in the place of ids."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from kuapin import columns as c
from kuapin.model import Model
from kuapin.surfaces import campaigns as campaigns_surface
from kuapin.surfaces import products as products_surface
from kuapin.surfaces.profile import DUE

ITEMS = ("item", DUE)
"""Kinds of a target that are items."""
PROBABLE = (products_surface.NAME, campaigns_surface.NAME)
"""Surfaces whose score is a probability."""


@dataclass(frozen=True)
class Card:
    """One thing as it is shown.

    Attributes:
        target: its id.
        kind: what it is.
        title: what it is called; the id where nobody named it.
        shelf: where it stands, the top level first.
        brand: of an item; empty where unknown.
        price: of an item.
        rank: in its list.
        chance: the probability of its being taken; ``None`` where the score is none.
        code: of the reason.
        reason: why it is shown.
    """

    target: str
    kind: str
    title: str
    shelf: str = ""
    brand: str = ""
    price: float | None = None
    rank: int = 0
    chance: float | None = None
    code: str = ""
    reason: str = ""

    @property
    def is_item(self) -> bool:
        """Whether it can be clicked into a history."""
        return self.kind in ITEMS


class Faces:
    """Knows the things of one release.

    Args:
        model: the release.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._offers: dict[str, str] | None = None

    def of_items(self, items: Sequence[str]) -> list[Card]:
        """Items, in their order; those that the release does not know keep their id."""
        catalogue = self.model.catalogue
        rows = catalogue.items.rows(items)
        frame = catalogue.frame[[int(row) for row in rows if row >= 0]]
        columns = [name for name in (c.TITLE, c.CATEGORY, c.BRAND, c.PRICE) if name in frame.columns]
        known = iter(frame.select(columns).to_dicts() if columns else [{}] * frame.height)
        cards = []
        for item, row in zip(items, rows, strict=True):
            said = next(known) if row >= 0 else {}
            title, shelf = said.get(c.TITLE), said.get(c.CATEGORY)
            card = Card(item, "item", str(title or item), str(shelf or ""), str(said.get(c.BRAND) or ""))
            price = said.get(c.PRICE)
            cards.append(_with(card, price=None if price is None else float(price)))
        return cards

    def of_answer(self, table: pl.DataFrame) -> list[Card]:
        """The rows of an answer (columns of ``columns.RECOMMENDATION``), in their order."""
        rows = table.to_dicts()
        items = iter(self.of_items([row[c.TARGET_ID] for row in rows if row[c.KIND] in ITEMS]))
        cards = []
        for row in rows:
            target, kind = row[c.TARGET_ID], row[c.KIND]
            if kind in ITEMS:
                card = _with(next(items), kind=kind)
            elif row[c.SURFACE] == campaigns_surface.NAME:
                card = Card(target, kind, self._offer(target))
            else:
                card = Card(target, kind, target)
            chance = row[c.SCORE] if row[c.SURFACE] in PROBABLE else None
            cards.append(
                _with(
                    card,
                    rank=row[c.RANK],
                    chance=chance,
                    code=row[c.REASON_CODE] or "",
                    reason=row[c.REASON] or "",
                )
            )
        return cards

    def _offer(self, offer: str) -> str:
        if self._offers is None:
            front = self.model.storefront
            table = front.campaigns.setting.offers.table if front else pl.DataFrame()
            self._offers = {} if table.is_empty() else dict(zip(table["offer_id"], table[c.TITLE], strict=True))
        return self._offers.get(offer) or offer


def _with(card: Card, **values: object) -> Card:
    return Card(**(vars(card) | values))
