"""Groups of a shop's items whose openings are replayed when the user model is trained."""

import numpy as np
from numpy.typing import NDArray

from kuapin.data.category_levels import several_categories
from kuapin.data.dataset import Catalogue
from kuapin.retrieval.clusters import clusters_of

CLUSTERS = 8
ITEMS_EACH = 10
"""Of a cluster on average, at least; in a smaller shop none are made."""


def opening_groups(catalogue: Catalogue, white: NDArray[np.float32] | None) -> NDArray[np.int32]:
    """A group for every item, int32 (n_items,): its category, else a cluster of texts.

    Categories are those of the first level that has several (``several_categories``). A shop without such a level is
    grouped by what its texts say, and is one group where there are none.

    Args:
        catalogue: all items.
        white: float32 (n_items, d), whitened text vectors; ``None``: there are none.
    """
    found = several_categories(catalogue)
    if found is not None:
        return found
    if white is None or len(white) < CLUSTERS * ITEMS_EACH:
        return catalogue.category
    return clusters_of(white, CLUSTERS, np.random.default_rng(0)).astype(np.int32)
