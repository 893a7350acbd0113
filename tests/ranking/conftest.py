import pytest

from kuapin.ranking.live import Fitted, LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.ranking.trees import TreesConfig
from tests import market


@pytest.fixture(scope="session")
def visible():
    return market.visible(market.dataset())


@pytest.fixture(scope="session")
def fitted(visible) -> Fitted:
    """With every source, so that each can give a reason."""
    return fit_live(
        visible,
        signals=SignalsConfig(candidates=20),
        ranking=RankingConfig(trees=TreesConfig(rounds=20)),
        live=LiveConfig(pruned=False, held_out=0.3),
    )
