import numpy as np
import pytest

from kuapin.ranking.discoveries import Asked
from kuapin.ranking.lists import make_lists
from kuapin.ranking.live import LiveConfig, temporal_replay
from kuapin.ranking.proposals import places
from kuapin.ranking.pruning import READ_BY_COST, _as_good, _proposed, _struck, prune
from kuapin.ranking.signals import Signals, SignalsConfig
from tests import market


def fit(visible, users=120):
    replay = temporal_replay(visible, LiveConfig(users=users))
    return replay, Signals.fit(replay.visible, SignalsConfig(candidates=40))


def test_what_is_left_is_a_part_of_what_there_was_and_ranks_as_well(visible):
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
