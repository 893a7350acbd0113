"""Who gets the places: exposure of brands by their size and of items by their price, beside what users chose."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.evaluation.ranked import ItemFacts, Ranked
from kuapin.evaluation.report import Exposure

SIZES = ("large brands", "middle brands", "small brands")
PRICES = ("low prices", "middle prices", "high prices")


def exposures(lists: Ranked, answers: Histories, catalogue: Catalogue, facts: ItemFacts) -> tuple[Exposure, ...]:
    """Shares of the places of all lists, of what was chosen, and of the items that could be shown.

    Args:
        lists: as shown.
        answers: what the same users chose then.
        catalogue: of the shop.
        facts: about the items, of what was visible.
    """
    shown, chosen = lists.items[lists.items >= 0], answers.items
    found = []
    for name, mask in _groups(catalogue, facts):
        share = (float(mask[rows].mean()) if len(rows) else 0.0 for rows in (shown, chosen, facts.candidates))
        found.append(Exposure(name, *share))
    return tuple(found)


def _groups(catalogue: Catalogue, facts: ItemFacts) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    known = catalogue.brand >= 0
    if known.any():
        yield from zip(SIZES, brand_thirds(catalogue.brand, facts.popularity), strict=True)
        yield "no brand", ~known
    priced = np.isfinite(catalogue.price)
    if priced.any():
        low, high = np.quantile(catalogue.price[priced], [1 / 3, 2 / 3])
        levels = np.digitize(catalogue.price, [low, high], right=True)
        for number, name in enumerate(PRICES):
            yield name, priced & (levels == number)
        yield "no price", ~priced


def brand_thirds(
    brand: NDArray[np.int32], popularity: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Items of the largest brands that hold a third of what was met, of those that hold the next, and of the others.

    Args:
        brand: int32 (n_items,), -1: none.
        popularity: int64 (n_items,), users who met the item.

    Returns:
        Three bool masks (n_items,); an item without a brand is in none.
    """
    known = brand >= 0
    size = np.bincount(brand[known], weights=popularity[known])
    order = np.argsort(-size, kind="stable")
    before = np.cumsum(size[order]) - size[order]
    third = np.empty(len(size), np.int64)
    third[order] = np.minimum(3 * before // max(float(size.sum()), 1.0), 2).astype(np.int64)
    of_item = np.where(known, third[np.maximum(brand, 0)], -1)
    return of_item == 0, of_item == 1, of_item == 2
