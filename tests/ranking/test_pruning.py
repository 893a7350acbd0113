from dataclasses import replace

import numpy as np
import pytest

from kuapin.ranking import pruning
from kuapin.ranking.discoveries import Asked
from kuapin.ranking.lists import make_lists
from kuapin.ranking.live import LiveConfig, temporal_replay
from kuapin.ranking.proposals import places
from kuapin.ranking.pruning import (
    ERRORS,
    FEWER,
    PROPOSERS_BY_COST,
    READ_BY_COST,
    _as_good,
    _columns_of,
    _crossed,
    _proposed,
    _rankers,
    _sharp,
    _struck,
    _thinned,
    prune,
)
from kuapin.ranking.signals import Signals, SignalsConfig
from tests import market


def fit(visible, users=120):
    replay = temporal_replay(visible, LiveConfig(users=users))
    return replay, Signals.fit(replay.visible, SignalsConfig(candidates=40))


def test_what_is_left_is_a_part_of_what_there_was_and_finds_most_answers(visible):
    replay, signals = fit(visible)
    config = prune(signals, replay.queries, replay.answers, 0)
    assert set(config.proposers) < {name for name, signal in signals.signals.items() if signal.proposes}
    gone = set(signals.signals) - set(config.sources)
    assert gone
    assert gone <= set(READ_BY_COST)
    assert set(config.proposers) <= set(config.sources)
    lean = signals.only(config)
    lists = make_lists(lean, replay.queries, None, replay.answers)
    full = make_lists(signals, replay.queries, None, replay.answers)
    assert lists.relevant.sum() > 0.8 * full.relevant.sum()
    assert len(lists.items) < len(full.items)


def test_struck_out_candidates_are_those_that_the_source_alone_proposed(visible):
    """The lists judged by are the lists that the pruned sources make."""
    replay, signals = fit(visible)
    lists = make_lists(signals, replay.queries, None, replay.answers)
    place = places(signals.proposals(replay.queries, None), lists.indptr, lists.items, 96)
    asked = Asked.of(lists, replay.queries, replay.answers)
    kept = _struck(asked, _proposed(place, ["popularity", "item_knn"], 10), signals).lists
    config = SignalsConfig(candidates=10, proposers=("popularity", "item_knn"))
    real = make_lists(signals.only(config), replay.queries, None, replay.answers)
    assert np.array_equal(kept.indptr, real.indptr)
    assert np.array_equal(kept.items, real.items)
    np.testing.assert_allclose(kept.features, real.features, rtol=1e-4, atol=1e-5)


def test_the_last_proposer_stays(visible):
    replay = temporal_replay(visible, LiveConfig(users=120))
    signals = Signals.fit(replay.visible, SignalsConfig(sources=("item_knn", "repeat"), proposers=("item_knn",)))
    assert prune(signals, replay.queries, replay.answers, 0).proposers == ("item_knn",)


@pytest.mark.parametrize(("loss", "goes"), [((0.0, 0.0), True), ((0.004, 0.008), True), ((0.0, 0.03), False)])
def test_a_source_that_discoveries_need_stays(loss, goes):
    """However much chance there is in it: 3 % of NDCG@10 over answers new to the user is too much to lose."""
    full = np.random.default_rng(0).random((2, 400))
    assert _as_good(full * (1 - np.array(loss))[:, None], full) == goes


def test_with_too_few_users_everything_stays():
    replay, signals = fit(market.visible(market.dataset(n_users=20)))
    assert prune(signals, replay.queries, replay.answers, 0) == signals.config


@pytest.mark.parametrize("good", [True, False])
def test_what_goes_goes_by_the_loss_alone(visible, monkeypatch, good):
    """Were nothing lost, all would go that may; were everything, nothing."""
    errors = []

    def judge(without, full, allowed=0.0):
        errors.append(allowed)
        return good

    monkeypatch.setattr(pruning, "_as_good", judge)
    replay, signals = fit(visible)
    config = prune(signals, replay.queries, replay.answers, 0)
    proposing = [name for name, signal in signals.signals.items() if signal.proposes]
    assert set(config.proposers) == set(proposing) - set(PROPOSERS_BY_COST if good else ())
    assert set(config.sources) == set(signals.signals) - set(READ_BY_COST if good else ())
    assert config.candidates == (min(FEWER) if good else 40)
    assert set(errors) == {0.0, ERRORS}
    assert errors == sorted(errors)  # who proposes is judged first, with no allowance for chance


@pytest.mark.parametrize(("loss", "errors", "goes"), [(0.014, 1.0, True), (0.016, 1.0, False), (0.014, 0.0, False)])
def test_what_is_within_chance_goes_where_chance_is_allowed_for(loss, errors, goes):
    full = np.full((2, 400), 0.5)
    chance = np.tile([0.3, -0.3], 200)  # a standard error of 0.015
    assert _as_good(full - loss + chance, full, errors) == goes


def test_a_signal_goes_with_its_distance_from_the_best():
    columns = ("a", "b", "c", "a_gap", "b_gap", "history", "price_gap")
    assert _columns_of(columns, ["a", "c"]).tolist() == [0, 2, 3, 5, 6]


def asked_of(visible):
    replay, signals = fit(visible)
    return Asked.make(signals, replay.queries, replay.answers), list(signals.signals)


def test_thinned_lists_keep_every_right_candidate(visible, monkeypatch):
    monkeypatch.setattr(pruning, "WRONG", 10)
    asked, _ = asked_of(visible)
    thinned = _thinned(asked, 0)
    assert thinned.lists.relevant.sum() == asked.lists.relevant.sum()
    assert np.mean(thinned.lists.lengths) == pytest.approx(10 + asked.lists.relevant.sum() / len(asked.lists), rel=0.15)


def test_the_small_ranker_has_not_seen_the_users_whom_it_ranks(visible):
    asked, names = asked_of(visible)
    columns = np.arange(asked.lists.features.shape[1])
    half = (np.random.default_rng([0, 21]).permutation(len(asked.lists)) % 2)[asked.lists.users]
    relevant = np.where(half == 0, np.roll(asked.lists.relevant, 1), asked.lists.relevant)
    other = replace(asked, lists=replace(asked.lists, relevant=relevant))
    one, two = (_crossed(_rankers(some, columns, names, 0), some) for some in (asked, other))
    assert np.array_equal(one[half == 0], two[half == 0])
    assert not np.array_equal(one[half == 1], two[half == 1])


@pytest.mark.parametrize(("served", "sharp"), [(0, False), (60, False), (300, True)])
def test_where_few_find_anything_nothing_can_be_told(served, sharp):
    """600 judges: a standard error is 12 % of a mean of .1, and 4 % of .5; of nothing nothing is told."""
    assert _sharp(np.arange(600) < served) == sharp


def test_where_nothing_can_be_told_everything_stays(visible, monkeypatch):
    monkeypatch.setattr(pruning, "SHARP", 0.01)
    replay, signals = fit(visible)
    assert prune(signals, replay.queries, replay.answers, 0) == signals.config
