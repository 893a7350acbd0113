"""The surface ``products``: one list a user, over all categories."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from kuapin.data.histories import Histories
from kuapin.observation import stage
from kuapin.ranking.diversity import DiversityConfig
from kuapin.ranking.reasons import explain_products
from kuapin.ranking.reranker import Reranker
from kuapin.surfaces.answer import Answer, Reasons, join

NAME = "products"


def products(
    reranker: Reranker,
    histories: Histories,
    *,
    n: int,
    items: NDArray[np.integer] | None = None,
    diversity: DiversityConfig | None = None,
    who: NDArray[np.integer] | None = None,
    now: datetime | None = None,
    explain: bool = False,
    page: int | None = None,
) -> Answer:
    """The best ``n`` items of every history.

    Args:
        reranker: of the live release, with the rules of the shop.
        histories: of the users; an empty one gets what is popular.
        n: items a user; fewer only where fewer may be shown.
        items: ascending rows of the items that may be shown; ``None``: all.
        diversity: how lists are spread; ``None``: as the shop has it.
        who: int (n_users,), rows of the users' table, for rules about users; ``None``: unknown.
        now: for rules with a time; ``None``: the present.
        explain: whether every row gets its reason.
        page: places that are seen together, see ``Exploration.choose``.
    """
    parts = []
    recommender, catalogue = reranker.recommender, reranker.catalogue
    for users, ranked in reranker.ranked(histories, n, items, diversity, who=who, now=now, page=page):
        asked = np.repeat(users, np.diff(ranked.found.indptr))
        reasons = None
        if explain:
            with stage("reasons"):
                said = explain_products(recommender, catalogue, histories.select(users), ranked, reranker.language)
            reasons = Reasons(said.codes, said.texts)
        parts.append(Answer(asked, ranked.found.items, ranked.found.scores, reasons, ranked.propensity))
    return join(parts)
