"""The surface brands, on the made-up shop, where everybody keeps to one brand."""

from dataclasses import replace

import numpy as np
import pytest

from kuapin.data.brand_level import brand_histories
from kuapin.data.histories import empty_histories
from kuapin.ranking.live import LiveConfig
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.surfaces.brands import LOYAL, NEW, Brands
from tests import market


@pytest.fixture(scope="module")
def data():
    return market.dataset()


@pytest.fixture(scope="module")
def brands(data) -> Brands:
    signals = SignalsConfig(candidates=10, sources=("repeat", "popularity", "brand", "adapted", "leaf", "item_knn"))
    return Brands.fit(market.visible(data), signals, RankingConfig(trees={"rounds": 5}), LiveConfig(pruned=False))


def test_own_brands_come_first_and_new_ones_are_new(brands, data):
    histories = data.histories.select(np.arange(40))
    answer, kinds = brands.brands(histories, 4, explain=True)
    met = brand_histories(histories, data.catalogue.brand, 6).matrix().toarray() > 0
    own = np.array([kind == LOYAL for kind in kinds])
    assert (met[answer.asked, answer.items] == own).all()
    assert np.bincount(answer.asked[own]).max() == 2  # at most half
    assert {LOYAL, NEW} == set(kinds.to_list()) or own.all()
    assert all(answer.reasons.texts)


def test_the_first_brand_is_the_users_own(brands, data):
    answer, _ = brands.brands(data.histories, 2)
    first = answer.items[np.searchsorted(answer.asked, np.arange(160))]
    names = brands.catalogue.items.take(first).to_list()
    right = [name == market.THEMES[user % 6].title() for user, name in enumerate(names)]
    assert np.mean(right) > 0.9  # by chance: one in six


def test_nobody_known_gets_new_brands_alone(brands):
    answer, kinds = brands.brands(empty_histories(1, 96, timed=True), 4)
    assert kinds.to_list() == [NEW] * 4
    assert len(set(answer.items.tolist())) == 4


def test_a_brand_without_an_item_that_may_be_shown_is_left_out(brands, data):
    items = np.flatnonzero(data.catalogue.brand == 2)
    answer, _ = brands.brands(data.histories.select(np.array([0])), 4, items)
    assert answer.items.tolist() == [2]


def test_restored_it_answers_the_same(brands, data, tmp_path):
    brands.save(tmp_path / "brands")
    again = Brands.load(tmp_path / "brands", data.catalogue)
    one, other = brands.brands(data.histories, 4)[0], again.brands(data.histories, 4)[0]
    assert one.items.tolist() == other.items.tolist()
    assert one.scores == pytest.approx(other.scores, rel=1e-5)
    gone = replace(data.catalogue, available=np.zeros(96, np.bool_))
    assert not Brands.load(tmp_path / "brands", gone).catalogue.available.any()
