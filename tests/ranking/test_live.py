from dataclasses import replace

import numpy as np
import pytest

from kuapin.data.histories import empty_histories, from_interactions
from kuapin.ranking.discoveries import Asked
from kuapin.ranking.lists import make_lists
from kuapin.ranking.live import LiveConfig, _split, fit_live, queries_of, temporal_replay
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.signals import Signals, SignalsConfig
from kuapin.ranking.trees import TreesConfig
from tests import market

CONFIG = LiveConfig(users=60)


def features_of(visible):
    replay = temporal_replay(visible, CONFIG)
    signals = Signals.fit(replay.visible, SignalsConfig(candidates=20))
    return replay, make_lists(signals, replay.queries, None, replay.answers)


def test_what_a_robot_did_teaches_nothing():
    data = market.dataset()
    histories = data.histories
    rng = np.random.default_rng(0)
    n, times = 1_200, int(histories.times.max()) + np.arange(1_200)
    log = from_interactions(
        np.concatenate([histories.users, np.full(n, len(histories))]),
        np.concatenate([histories.items, rng.integers(0, 96, n)]),
        np.concatenate([histories.times, times]),
        np.zeros(len(histories.items) + n, np.uint8),
        n_users=len(histories) + 1, n_items=96, timed=True,
    )  # fmt: skip
    clean = replace(market.visible(data), histories=replace(histories, events=np.zeros_like(histories.events)))
    how = {"signals": SignalsConfig(candidates=20), "ranking": RankingConfig(trees=TreesConfig(rounds=2))}
    dirty, told = replace(clean, histories=log), []
    for look in (True, False):
        live = LiveConfig(users=60, pruned=False, suspects={"look": look})
        fitted = [fit_live(visible, live=live, **how) for visible in (clean, dirty)]
        same = fitted[0].metrics == fitted[1].metrics
        popularity = [one.recommender.popularity for one in fitted]
        told.append(
            (
                same,
                bool((popularity[0] == popularity[1]).all()),
                "more interactions in an hour" in fitted[1].suspects.told(),
            )
        )
    assert told == [(True, True, True), (False, False, False)]


@pytest.mark.parametrize("timed", [True, False])
def test_permuting_what_is_hidden_leaves_every_feature_as_it_is(timed):
    visible = market.visible(market.dataset(timed=timed))
    replay, lists = features_of(visible)
    histories = visible.histories
    if timed:
        hidden = histories.times >= replay.visible.now
    else:
        from_end = np.repeat(histories.indptr[1:], histories.lengths) - np.arange(len(histories.items))
        asked = replay.visible.histories.lengths == 0
        hidden = (from_end <= np.ceil(0.2 * np.repeat(histories.lengths, histories.lengths))) & asked[histories.users]
    assert 0.05 < hidden.mean() < 0.3
    items = histories.items.copy()
    items[hidden] = np.random.default_rng(5).permutation(items[hidden])
    other = replace(visible, histories=replace(histories, items=items))
    replay_again, again = features_of(other)
    assert not np.array_equal(replay.answers.items, replay_again.answers.items)
    assert np.array_equal(lists.items, again.items)
    assert lists.features.tobytes() == again.features.tobytes()


def test_a_timed_log_is_cut_once_for_everybody(visible):
    replay = temporal_replay(visible, CONFIG)
    assert replay.visible.histories.times.max() < replay.visible.now
    assert replay.answers.times.min() >= replay.visible.now
    assert replay.queries.times.max() < replay.visible.now
    assert len(replay.queries) == 60
    assert len(replay.answers.items) / (0.1 * len(visible.histories.items)) == pytest.approx(60 / 160, rel=0.3)


def test_without_times_the_asked_users_are_in_no_statistics():
    visible = market.visible(market.dataset(timed=False))
    replay = temporal_replay(visible, CONFIG)
    left = replay.visible.histories.lengths
    asked = np.flatnonzero((left == 0) & (visible.histories.lengths > 0))
    assert len(asked) == len(replay.queries) == 60
    assert np.array_equal(visible.histories.select(asked).lengths, replay.queries.lengths + replay.answers.lengths)


def test_repeats_and_new_items_are_candidates_alike(visible):
    replay, lists = features_of(visible)
    met = np.concatenate(
        [np.isin(lists.items[lists.indptr[u] : lists.indptr[u + 1]], replay.queries.of(u)) for u in range(len(lists))]
    )
    assert lists.relevant[met].any()
    assert lists.relevant[~met].any()


def test_it_learns_tastes_and_measures_itself_on_held_out_users(fitted):
    metrics = fitted.metrics
    assert metrics["ndcg@10"] > 2 * metrics["ndcg@10.popularity"]
    assert metrics["ndcg@10.new"] > 2 * metrics["ndcg@10.new.popularity"]
    assert metrics["held_out_users"] >= 30
    assert 0 <= metrics["ece"] < 0.2


@pytest.mark.parametrize("users", [20, 160])
def test_small_shops_are_ranked_better_than_by_what_is_repeated(users):
    """On a stretch that the training has not seen; the mean of four shops, for one alone is chance."""
    ours, repeat = [], []
    for seed in range(4):
        later = temporal_replay(market.visible(market.dataset(seed=seed)), LiveConfig())
        recommender = fit_live(
            later.visible,
            signals=SignalsConfig(candidates=20),
            ranking=RankingConfig(trees=TreesConfig(rounds=20)),
            live=LiveConfig(users=users),
        ).recommender
        asked = Asked.make(recommender.signals, later.queries, later.answers)
        ours.append(asked.means(recommender.ranker.score(asked.lists.features)))
        column = recommender.signals.names.index("repeat")
        repeat.append(asked.means(asked.lists.features[:, column]))
    assert len(later.queries) > 100
    assert np.mean(ours, axis=0)[0] > np.mean(repeat, axis=0)[0]
    assert np.mean(ours, axis=0)[1] > 3 * np.mean(repeat, axis=0)[1]


def test_held_out_users_choose_no_source(visible, monkeypatch):
    """The users that pruning asks are none of those on whom the release is measured."""
    asked = []

    def spy(signals, queries, answers, seed):
        asked.append(queries)
        return signals.config

    monkeypatch.setattr("kuapin.ranking.live.prune", spy)
    config = LiveConfig(users=60)
    fit_live(visible, signals=SignalsConfig(candidates=20), ranking=RankingConfig(), live=config)
    replay = temporal_replay(visible, config)
    learning, held = _split(60, config)
    assert len(held) == 12
    assert set(learning) | set(held) == set(range(60))
    assert np.array_equal(asked[0].items, replay.queries.select(learning).items)


def test_without_the_source_repeat_all_else_is_measured(visible, fitted):
    metrics = fit_live(
        visible,
        signals=SignalsConfig(candidates=20, sources=("popularity", "item_knn")),
        ranking=RankingConfig(),
        live=LiveConfig(pruned=False, held_out=0.3),
    ).metrics
    assert set(fitted.metrics) - set(metrics) == {"ndcg@10.repeat"}
    assert metrics["ndcg@10.popularity"] > 0


def test_the_same_seed_gives_the_same_model(visible, fitted):
    again = fit_live(
        visible,
        signals=fitted.recommender.signals.config,
        ranking=RankingConfig(trees={"rounds": 20}),
        live=LiveConfig(pruned=False, held_out=0.3),
    )
    assert again.metrics == fitted.metrics


@pytest.mark.parametrize("n_users", [0, 1, 3])
def test_too_little_to_learn_from_is_ranked_by_the_fixed_sum(n_users):
    data = market.dataset()
    histories = data.histories.select(np.arange(n_users)) if n_users else empty_histories(0, 96, timed=True)
    fitted = fit_live(
        market.visible(replace(data, histories=histories)),
        signals=SignalsConfig(candidates=20),
        ranking=RankingConfig(),
    )
    assert fitted.metrics == {}
    found = fitted.recommender.rank(data.histories.select(np.arange(4)), 5)
    assert np.diff(found.indptr).tolist() == [5] * 4
    assert np.isfinite(found.scores).all()


def test_an_unknown_user_has_an_empty_history(visible):
    asked = queries_of(visible.histories, np.array([3, -1, 0]))
    assert asked.lengths.tolist() == [visible.histories.lengths[3], 0, visible.histories.lengths[0]]
    assert np.array_equal(asked.of(2), visible.histories.of(0))


def test_counts_are_read_on_the_scale_that_the_ranker_was_trained_on(visible):
    """Trees that split on a count must not meet, after the last fit, values beyond all that they were trained on."""
    live = LiveConfig(users=60, pruned=False, hidden=0.5)
    fitted = fit_live(visible, signals=SignalsConfig(candidates=20), ranking=RankingConfig(), live=live)
    signals, replay = fitted.recommender.signals, temporal_replay(visible, live)
    before = Signals.fit(replay.visible, SignalsConfig(candidates=20))
    assert signals.facts.learnt == pytest.approx(before.facts.users.sum() / signals.facts.users.sum())
    assert 0.3 < signals.facts.learnt < 0.9
    items = np.array([8, 30], np.int32)
    ends, column = np.array([0, 2], np.int64), signals.names.index("category_users")
    one = visible.histories.select(np.array([0]))
    after = signals.features(one, ends, items)[:, column]
    known = before.features(one, ends, items)[:, before.names.index("category_users")]
    np.testing.assert_allclose(after, known, atol=0.1)  # without: log(1 / learnt), more than .3
