"""A category opens: the chosen strategy, fitted, on the scale of the shop."""

import numpy as np
import pytest

from kuapin.data.histories import empty_histories
from kuapin.ranking.opening import _scale, open_category
from kuapin.ranking.simulation import SimulationConfig
from tests.ranking.test_simulation import RANKING, SIGNALS, without_pets

CONFIG = SimulationConfig(users=30, shots=(0.0,))


@pytest.fixture(scope="module")
def opening():
    shop, pets = without_pets()
    return shop, pets, open_category(shop, pets, hidden=0.1, signals=SIGNALS, ranking=RANKING, simulation=CONFIG)


def test_the_best_of_the_replays_serves_it(opening):
    shop, pets, done = opening
    assert done.strategy == done.expectations.at(0.0).best
    lists = done.recommender.rank(shop.histories.select(np.arange(20)), 10, pets)
    assert np.diff(lists.indptr).tolist() == [10] * 20
    assert np.isin(lists.items, pets).all()
    themes = shop.catalogue.frame["brand"].to_list()
    first = [themes[item] for item in lists.items[lists.indptr[:-1]]]
    own = ["Rose", "Oak", "Sea", "Mint", "Snow", "Sun"]
    assert np.mean([theme == own[user % 6] for user, theme in enumerate(first)]) > 0.8


def test_scores_are_probabilities_of_people_who_may_never_enter(opening):
    shop, pets, done = opening
    found = done.expectations
    logit = done.recommender.calibration.logit(found.scores[done.strategy], np.zeros(len(found.lists.items), int))
    promised = done.recommender.calibration.shown(logit).mean()
    # Platt keeps the mean, which is that of the share of those who enter in a tenth of the log
    assert promised == pytest.approx(found.lists.relevant.mean() * found.entering.mean() * 0.1, rel=0.02)
    nobody = empty_histories(1, len(shop.catalogue), timed=True)
    shown = done.recommender.rank(nobody, 5, pets)
    assert (shown.scores < 0.05).all()
    popular = done.recommender.signals.signals["predicted_popularity"].source.scores
    assert popular[shown.items].min() >= np.sort(popular[pets])[-5]


def test_a_scale_without_differences_keeps_the_rate():
    scale = _scale(np.full(98, -0.7), np.arange(98) < 9, 0.5, 2)
    shown = scale.shown(scale.logit(np.array([-0.7]), np.array([1])))
    assert shown[0] == pytest.approx(0.05)  # half of (9 + 1) / (98 + 2)
