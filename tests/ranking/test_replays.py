"""Replayed launches: nothing that is hidden, and nobody who is asked, feeds what they are asked with."""

from dataclasses import replace

import numpy as np
import pytest

from kuapin.data.histories import Histories
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import fit_launch
from kuapin.ranking.replays import ReplayConfig, groups_of, launch_lists, other_openings, own_folds
from kuapin.ranking.signals import Signals, SignalsConfig
from kuapin.retrieval.source import Visible
from tests import market

SIGNALS, REPLAYS = SignalsConfig(candidates=20), ReplayConfig(groups=3, users=30, first_day_users=30, own_users=60)


@pytest.fixture(scope="module")
def shop() -> Visible:
    return market.visible(market.dataset())


@pytest.fixture(scope="module")
def pets(shop) -> np.ndarray:
    catalogue = shop.catalogue
    return np.flatnonzero(catalogue.category == catalogue.categories.index("Pets")).astype(np.int32)


@pytest.mark.parametrize("shot", [0.0, 0.1, 1.0])
def test_asked_users_are_in_no_statistic(shop, pets, shot):
    replays = list(other_openings(shop, pets, shot, REPLAYS)) + (list(own_folds(shop, pets, REPLAYS)) if shot else [])
    assert len(replays) >= 3
    for replay in replays:
        asked = {tuple(replay.queries.of(user)) for user in range(len(replay.queries))}
        seen = replay.visible.histories
        left = {tuple(row[~np.isin(row, replay.items)]) for row in map(seen.of, range(len(seen))) if len(row)}
        assert not asked & left
        assert not np.isin(replay.queries.items, replay.items).any()
        assert np.isin(replay.answers.items, replay.items).all()
        assert (replay.answers.lengths > 0).all()


def test_the_first_day_shows_nothing_of_the_group(shop, pets):
    for replay in other_openings(shop, pets, 0.0, REPLAYS):
        assert not np.isin(replay.visible.histories.items, replay.items).any()
        assert len(np.unique(replay.visible.catalogue.category[replay.items])) == 1


def test_permuting_what_is_hidden_changes_no_feature(shop, pets):
    """The hidden interactions of the asked users are exchanged: labels may change, no input does."""

    def tables(visible: Visible) -> list[np.ndarray]:
        found = []
        for replay in other_openings(visible, pets, 0.0, REPLAYS):
            signals = Signals.fit(replay.visible, SIGNALS)
            indptr, rows = signals.propose(replay.queries, replay.items)
            found.append(signals.features(replay.queries, indptr, rows))
        return found

    group = groups_of(shop, pets, REPLAYS)[0]
    other = permuted(shop.histories, group)
    again = tables(replace(shop, histories=other))
    first = tables(shop)[0]  # the first replay hides this very group from everybody
    np.testing.assert_array_equal(first, again[0])
    assert not np.array_equal(shop.histories.items, other.items)


def permuted(histories: Histories, group: np.ndarray) -> Histories:
    """Within every history, the items met in the group are turned into others of the group."""
    items = histories.items.copy()
    inside = np.isin(items, group)
    items[inside] = group[(np.searchsorted(group, items[inside]) + 7) % len(group)]
    return replace(histories, items=items)


def test_a_launch_without_anything_to_replay_is_ranked_by_the_fixed_sum():
    shop = market.visible(market.dataset())
    few = replace(shop, histories=shop.histories.select(np.arange(8)))
    few = replace(few, histories=replace(few.histories, n_items=len(shop.catalogue)))
    items = np.flatnonzero(shop.catalogue.category == 0).astype(np.int32)
    recommender = fit_launch(few, items, 0.0, signals=SIGNALS, ranking=RankingConfig(), replays=REPLAYS)
    assert recommender.ranker.trees is None
    lists = recommender.rank(few.histories, 5, items)
    assert (np.diff(lists.indptr) == 5).all()


def test_one_replayed_launch_is_enough(shop, pets):
    one = REPLAYS.model_copy(update={"groups": 1})
    recommender = fit_launch(shop, pets, 0.0, signals=SIGNALS, ranking=RankingConfig(), replays=one)
    assert recommender.ranker.chosen


def test_groups_are_apart_and_outside(shop, pets):
    groups = groups_of(shop, pets, REPLAYS)
    together = np.concatenate(groups)
    assert len(groups) == 3
    assert len(np.unique(together)) == len(together)
    assert not np.isin(together, pets).any()


def test_own_users_weigh_by_their_number(shop, pets):
    fitted = Signals.fit(shop, SIGNALS)
    lists = launch_lists(shop, pets, 1.0, SIGNALS, REPLAYS, fitted)
    others = sum(len(replay.queries) for replay in other_openings(shop, pets, 1.0, REPLAYS))
    own = lists.weight[others:].sum() / lists.weight[:others].sum()
    useful = len(lists.select(np.arange(others, len(lists))).useful())
    assert own == pytest.approx(useful / REPLAYS.trust, rel=1e-6)


def test_lists_know_their_users(shop, pets):
    replays = [*other_openings(shop, pets, 1.0, REPLAYS), *own_folds(shop, pets, REPLAYS)]
    for replay in replays:
        inside = np.isin(shop.histories.items, replay.items)
        of_group = shop.histories.keep(inside).select(replay.users)
        assert np.array_equal(replay.answers.items, of_group.items)
        assert np.array_equal(replay.answers.indptr, of_group.indptr)
    lists = launch_lists(shop, pets, 1.0, SIGNALS, REPLAYS, Signals.fit(shop, SIGNALS))
    assert np.array_equal(lists.whose, np.concatenate([replay.users for replay in replays]))
    assert len(np.unique(lists.whose)) < len(lists)
