"""Which items may be shown: applied before the list is cut to n, so that no list is short while items are left."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kuapin.columns import CATEGORY_SEPARATOR
from kuapin.data.dataset import Catalogue
from kuapin.errors import UnknownIdError
from kuapin.names import offered

_TOP = "top-level categories"


class Filter(BaseModel):
    """Conditions on an item; all that are given must hold.

    ``mask`` turns them into one bool per item row; ``np.flatnonzero(mask)`` is what ``Source.top`` takes as ``items``,
    the mask itself what ``ItemIndex.search`` takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    categories: tuple[str, ...] | None = Field(None, description="Top-level categories; none: all.")
    leaves: tuple[str, ...] | None = Field(
        None, description="Category paths (`A > B`), with all that lies below them; none: all."
    )
    brands: tuple[str, ...] | None = Field(None, description="Brands; none: all, items without a brand included.")
    price_min: float | None = Field(None, ge=0, description="Lowest price; items of unknown price are then left out.")
    price_max: float | None = Field(None, ge=0, description="Highest price; items of unknown price are then left out.")
    available: bool = Field(default=True, description="Only items that are available.")
    deny: tuple[str, ...] = Field((), description="Item ids that are never shown; ids the shop lacks do nothing.")

    @model_validator(mode="after")
    def _prices_in_order(self) -> Self:
        if self.price_min is not None and self.price_max is not None and self.price_min > self.price_max:
            raise ValueError(f"price_min is {self.price_min}, above price_max {self.price_max}. Swap them.")
        return self

    def mask(self, catalogue: Catalogue) -> NDArray[np.bool_]:
        """Which items pass, bool (n_items,).

        Raises:
            UnknownIdError: a category, path or brand that no item of the shop has.
        """
        mask = np.ones(len(catalogue), np.bool_)
        if self.categories is not None:
            mask &= np.isin(catalogue.category, _top(self.categories, catalogue.categories))
        if self.leaves is not None:
            mask &= np.isin(catalogue.leaf, _below(self.leaves, catalogue.leaves))
        if self.brands is not None:
            mask &= np.isin(catalogue.brand, _codes(self.brands, catalogue.brands, "brand", "brands"))
        if self.price_min is not None:
            mask &= catalogue.price >= np.float32(self.price_min)  # NaN, an unknown price, is never in range
        if self.price_max is not None:
            mask &= catalogue.price <= np.float32(self.price_max)
        if self.available:
            mask &= catalogue.available
        if self.deny:
            denied = catalogue.items.rows(self.deny)
            mask[denied[denied >= 0]] = False
        return mask


def _top(wanted: tuple[str, ...], names: tuple[str, ...]) -> list[int]:
    mark = CATEGORY_SEPARATOR.strip()
    path = next((name for name in wanted if name not in names and mark in name), None)
    if path is not None:
        raise UnknownIdError(
            f"{path!r} is a path, and top-level categories alone are taken here. "
            + offered(path.split(mark)[0].strip(), names, _TOP)
        )
    return _codes(wanted, names, "top-level category", _TOP)


def _codes(wanted: tuple[str, ...], names: tuple[str, ...], one: str, many: str) -> list[int]:
    place = {name: code for code, name in enumerate(names)}
    for name in wanted:
        if name not in place:
            raise UnknownIdError(f"No item of this shop has the {one} {name!r}. {offered(name, names, many)}")
    return [place[name] for name in wanted]


def _below(wanted: tuple[str, ...], paths: tuple[str, ...]) -> list[int]:
    codes: list[int] = []
    for path in wanted:
        below = [c for c, name in enumerate(paths) if name == path or name.startswith(path + CATEGORY_SEPARATOR)]
        if not below:
            tops = tuple(dict.fromkeys(name.split(CATEGORY_SEPARATOR)[0] for name in paths))
            raise UnknownIdError(
                f"No item of this shop is in {path!r}. {offered(path, tops, 'categories', also=paths)}"
            )
        codes += below
    return codes
