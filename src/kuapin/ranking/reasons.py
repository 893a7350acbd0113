"""Why a product is shown: the signal that speaks most for it, and the evidence behind that signal."""

from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories
from kuapin.ranking.recommender import Ranked, Recommender


def explain_products(
    recommender: Recommender, catalogue: Catalogue, histories: Histories, ranked: Ranked
) -> tuple[list[str], list[str]]:
    """Code and sentence of every row."""
    users = recommender.signals.facts.users[ranked.found.items].astype(int)
    return ["popular"] * len(users), [f"Chosen by {count:,} people" for count in users]
