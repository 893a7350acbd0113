"""How deep in the tree of categories a shop has several of them."""

import numpy as np
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue

LEAST_ITEMS = 10
"""Of a category that counts."""


def several_categories(catalogue: Catalogue) -> NDArray[np.int32] | None:
    """The category of every item, int32 (n_items,), at the first level where two have ``LEAST_ITEMS`` items or more.

    These are the top-level ones where a shop has several. A path that ends before that level is a category of its own.
    ``None``: there are nowhere several.
    """
    if _several(catalogue.category):
        return catalogue.category
    steps = [[step.strip() for step in path.split(c.CATEGORY_SEPARATOR.strip())] for path in catalogue.leaves]
    for depth in range(2, max((len(path) for path in steps), default=0) + 1):
        names = [tuple(path[:depth]) for path in steps]
        codes = {name: code for code, name in enumerate(sorted(set(names)))}
        category = np.array([codes[name] for name in names], np.int32)[catalogue.leaf]
        if _several(category):
            return category
    return None


def _several(category: NDArray[np.int32]) -> bool:
    return int(np.count_nonzero(np.bincount(category) >= LEAST_ITEMS)) >= 2
