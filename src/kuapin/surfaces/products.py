"""The surface ``products``: one list a user, over all categories."""

import numpy as np
from numpy.typing import NDArray

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.reasons import explain_products
from kuapin.ranking.recommender import Recommender
from kuapin.surfaces.answer import Answer, Reasons, join

NAME = "products"


def products(
    recommender: Recommender,
    catalogue: Catalogue,
    histories: Histories,
    *,
    n: int,
    items: NDArray[np.integer] | None = None,
    per_category: int | None = None,
    explain: bool = False,
) -> Answer:
    """The best ``n`` items of every history.

    Args:
        recommender: of the live release.
        catalogue: that it was trained on.
        histories: of the users; an empty one gets what is popular.
        n: items a user; fewer only where fewer may be shown.
        items: ascending rows of the items that may be shown; ``None``: all.
        per_category: items of one top-level category at most; more only where a list would be short without them.
        explain: whether every row gets its reason.
    """
    parts = []
    for users, ranked in recommender.ranked(histories, n, items, per_category):
        asked = np.repeat(users, np.diff(ranked.found.indptr))
        reasons = None
        if explain:
            reasons = Reasons(*explain_products(recommender, catalogue, histories.select(users), ranked))
        parts.append(Answer(asked, ranked.found.items, ranked.found.scores, reasons))
    return join(parts)
