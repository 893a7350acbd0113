"""Replayed openings: nothing measured has seen its launch, and everybody is asked at every level."""

from dataclasses import replace

import numpy as np
import pytest

from kuapin.ranking import signals, simulation
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.replays import opened
from kuapin.ranking.signals import Signals, SignalsConfig, opening_config
from kuapin.ranking.simulation import SimulationConfig, shot_level, simulate
from kuapin.retrieval.source import Visible
from tests import market

SIGNALS, RANKING = SignalsConfig(candidates=20), RankingConfig(trees={"rounds": 5})
CONFIG = SimulationConfig(users=30, shots=(0.0, 0.5))


def without_pets() -> tuple[Visible, np.ndarray]:
    """The market before anybody met anything of Pets, which opens."""
    shop = market.visible(market.dataset())
    pets = np.flatnonzero(shop.catalogue.category == shop.catalogue.categories.index("Pets")).astype(np.int32)
    return opened(replace(shop, histories=shop.histories.keep(~np.isin(shop.histories.items, pets))), pets), pets


@pytest.fixture(scope="module")
def fitted():
    shop, pets = without_pets()
    return shop, pets, Signals.fit(shop, opening_config(shop, SIGNALS, counted=False))


@pytest.fixture(scope="module")
def found(fitted):
    return simulate(*fitted, signals=SIGNALS, ranking=RANKING, config=CONFIG)


def test_each_other_category_is_opened_once_at_every_level(found, fitted):
    shop, pets, _ = fitted
    assert [level.shot for level in found.levels] == [0.0, 0.5]
    tops = [set(shop.catalogue.category[group].tolist()) for group in found.groups]
    assert sorted(map(sorted, tops)) == [[0], [1], [2]]  # Beauty, Garden, Home
    assert not np.isin(np.concatenate(found.groups), pets).any()
    first, half = found.levels
    assert first.people.tolist() == first.interactions.tolist() == [0, 0, 0]
    assert (half.people > 40).all()
    assert (half.interactions > half.people).all()
    for strategy, quality in first.quality.items():
        assert [len(one.ndcg) for one in quality] == [len(one.ndcg) for one in half.quality[strategy]] == [30] * 3


def test_texts_tell_more_than_popularity_where_people_have_tastes(found):
    first, half = found.levels
    assert first.means("text").min() > first.means("popularity").max()
    assert found.ratio("transfer", 0.0).value > 2
    assert half.means("popularity").mean() > 0.1
    assert first.hit_rate("text") > first.hit_rate("popularity")


def test_transfer_has_not_seen_the_launch_that_it_ranks(found, fitted):
    """The right answers of one launch are exchanged: its own scores stay to the bit, those of the others change."""
    lists, columns = found.lists, (fitted[2].names, len(fitted[2].signals))
    mine = lists.launch[lists.users] == 1
    other = replace(lists, relevant=np.where(mine, np.roll(lists.relevant, 1), lists.relevant))
    first = simulation._scores(lists, *columns, RANKING, full=True)["transfer"]
    again = simulation._scores(other, *columns, RANKING, full=True)["transfer"]
    np.testing.assert_array_equal(first[mine], again[mine])
    assert not np.array_equal(first[~mine], again[~mine])
    np.testing.assert_array_equal(first, found.scores["transfer"])


def test_strangers_take_little_and_entering_is_counted(found, fitted):
    shop = fitted[0]
    popularity, took = found.strangers
    assert np.unique(popularity).tolist() == [pytest.approx(np.log(0.5))]  # nobody has met anything there yet
    assert len(took) == 3 * 30 * 24  # all items of the launch, which are fewer than are looked at
    everybody = np.count_nonzero(shop.histories.lengths)
    for group, share in zip(found.groups, found.entering, strict=True):
        there = len(np.unique(shop.histories.users[np.isin(shop.histories.items, group)]))
        assert share == there / everybody


def test_without_people_nothing_is_expected(fitted):
    shop, pets, made = fitted
    few = replace(shop, histories=shop.histories.select(np.arange(5)))
    assert simulate(few, pets, made, signals=SIGNALS, ranking=RANKING, config=CONFIG) is None


def test_every_opening_has_the_same_signals_however_many_were_there(monkeypatch):
    monkeypatch.setitem(signals.OPENING_ONLY, "als", 1)
    shop, pets = without_pets()
    seen = opened(market.visible(market.dataset()), pets)
    nobody, somebody = (set(opening_config(one, SIGNALS, counted=True).sources) for one in (shop, seen))
    assert nobody == somebody
    assert {"ridge", "predicted_popularity"} < nobody
    assert "als" not in nobody
    named = SignalsConfig(sources=("adapted", "item_knn"))
    assert opening_config(seen, named, counted=True).sources == ("item_knn", "adapted", "predicted_popularity")


def test_the_shot_level_is_people_here_to_people_elsewhere():
    shop, pets = without_pets()
    assert shot_level(shop, pets) == 0.0
    whole = market.visible(market.dataset())
    share = shot_level(whole, pets)
    people = [
        len(np.unique(whole.histories.users[whole.catalogue.category[whole.histories.items] == code]))
        for code in range(4)
    ]
    assert share == pytest.approx(min(1.0, people[3] / np.mean(people[:3])))
