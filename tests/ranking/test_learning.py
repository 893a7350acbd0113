"""The sum, the trees and their mixture, on lists whose right answers are known."""

from dataclasses import replace

import numpy as np
import pytest

from kuapin.ranking.linear import fit_linear
from kuapin.ranking.lists import Lists, join, ndcg_at_10
from kuapin.ranking.ranker import SHARES, Ranker, RankingConfig, choose_share, fit_ranker
from kuapin.ranking.trees import TreesConfig, fit_trees

NO_PRIOR = np.zeros(3)


def lists_of(n_users: int, rule, *, width: int = 30, seed: int = 0) -> Lists:
    """Lists of random features (n, 3); ``rule`` gives the right candidates' log-odds."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_users, width, 3)).astype(np.float32)
    margin = rule(x)
    right = np.argmax(margin + rng.gumbel(size=margin.shape), axis=1)
    relevant = np.zeros((n_users, width), bool)
    relevant[np.arange(n_users), right] = True
    indptr = np.arange(n_users + 1, dtype=np.int64) * width
    items = np.tile(np.arange(width, dtype=np.int32), n_users)
    ones = np.ones(n_users)
    return Lists(
        indptr,
        items,
        x.reshape(-1, 3),
        relevant.ravel(),
        ones.astype(np.int64),
        ones,
        np.full(n_users, -1, np.int32),
        np.arange(n_users, dtype=np.int32),
    )


def test_conditional_logit_finds_its_weights():
    lists = lists_of(4000, lambda x: 1.5 * x[..., 0] - 0.5 * x[..., 1])
    np.testing.assert_allclose(fit_linear(lists, NO_PRIOR).weight, [1.5, -0.5, 0.0], atol=0.08)


def test_unknown_and_constant_features_count_nothing():
    lists = lists_of(200, lambda x: 2 * x[..., 0])
    lists.features[:, 1] = 7.0
    lists.features[::2, 2] = np.nan
    linear = fit_linear(lists, NO_PRIOR)
    assert linear.weight[1] == 0.0
    assert np.isfinite(linear.score(lists.features)).all()
    assert (linear.contributions(lists.features)[::2, 2] == 0).all()


def test_few_lists_keep_to_the_proportion_of_the_prior_and_many_do_not():
    prior = np.array([1.0, 1.0, 0.0])

    def proportions(n_users):
        weight = fit_linear(lists_of(n_users, lambda x: 1.5 * x[..., 0] - 0.5 * x[..., 1]), prior).weight
        return weight[1:] / weight[0]

    np.testing.assert_allclose(proportions(10), [1.0, 0.0], atol=0.1)
    np.testing.assert_allclose(proportions(4000), [-1 / 3, 0.0], atol=0.05)


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_of_the_prior_the_proportion_counts_and_not_the_size(scale):
    lists, prior = lists_of(30, lambda x: 2 * x[..., 0]), np.array([1.0, 0.5, 0.0])
    np.testing.assert_allclose(fit_linear(lists, scale * prior).weight, fit_linear(lists, prior).weight, atol=1e-3)


def test_a_prior_that_few_lists_contradict_is_not_turned_round():
    lists = lists_of(12, lambda x: -3 * x[..., 0])
    weight = fit_linear(lists, np.array([1.0, 0.0, 0.0])).weight
    assert -0.1 < weight[0] < 0


def test_contributions_add_up():
    lists = lists_of(100, lambda x: x[..., 0])
    linear = fit_linear(lists, NO_PRIOR)
    np.testing.assert_allclose(linear.contributions(lists.features).sum(axis=1), linear.score(lists.features))


def test_ndcg_by_hand():
    lists = lists_of(1, lambda x: x[..., 0], width=4)
    relevant = np.array([True, False, True, False])
    hand = replace(lists, relevant=relevant, answers=np.array([3]))
    got = ndcg_at_10(hand, np.array([4.0, 3.0, 2.0, 1.0]))
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)  # three answers, of which one is no candidate
    np.testing.assert_allclose(got, [(1 + 1 / np.log2(4)) / ideal])


def test_the_trees_are_chosen_where_the_truth_is_not_a_sum():
    curved = lists_of(1500, lambda x: 3 * np.abs(x[..., 0]))
    straight = lists_of(1500, lambda x: 3 * x[..., 0])
    names, config = ("a", "b", "c"), RankingConfig(trees=TreesConfig(rounds=30))
    assert fit_ranker(curved, names, 3, config).share > 0.4
    ranker = fit_ranker(straight, names, 3, config)
    test = lists_of(1500, lambda x: 3 * x[..., 0], seed=1)
    alone = ndcg_at_10(test, ranker.linear.score(test.features)).mean()
    assert ndcg_at_10(test, ranker.score(test.features)).mean() > alone - 0.01


def test_few_users_get_the_sum():
    ranker = fit_ranker(lists_of(3, lambda x: x[..., 0]), ("a", "b", "c"), 3, RankingConfig())
    assert ranker.trees is None
    assert ranker.share == 0.0


@pytest.mark.parametrize("rule", [lambda x: 3 * x[..., 0], lambda x: 3 * np.abs(x[..., 0])])
def test_a_saved_ranker_scores_the_same(tmp_path, rule):
    lists = lists_of(400, rule)
    ranker = fit_ranker(lists, ("a", "b", "c"), 3, RankingConfig(trees=TreesConfig(rounds=10)))
    ranker.save(tmp_path)
    np.testing.assert_allclose(Ranker.load(tmp_path).score(lists.features), ranker.score(lists.features))


def test_the_same_seed_gives_the_same_trees():
    lists = lists_of(300, lambda x: np.abs(x[..., 0])).useful()
    zeros = np.zeros(len(lists.items))
    one, two = (fit_trees(lists, zeros, TreesConfig(rounds=5), 0).text() for _ in range(2))
    assert one == two


def test_joined_and_selected_lists_keep_their_rows():
    one, two = lists_of(2, lambda x: x[..., 0], width=3), lists_of(3, lambda x: x[..., 0], width=5, seed=1)
    both = join([one, two])
    np.testing.assert_array_equal(both.select(np.array([2, 3, 4])).features, two.features)
    np.testing.assert_array_equal(both.select(np.array([1])).relevant, one.relevant[3:])
    np.testing.assert_allclose(both.with_weight(10).weight, 2)


def test_a_list_made_twice_is_no_second_person():
    """By hand: gains 0.3 and -0.1 have mean 0.1 and variance 0.04; of 2 people the error is 0.141, of 8 lists 0.071."""
    gains = np.array([0.3, -0.1])
    people = np.arange(2, dtype=np.int32)

    def chosen(times: int, *, whose, caution: float) -> float:
        held_out = {share: np.tile(gains, times) * share for share in SHARES}
        return choose_share(held_out, np.ones(2 * times), whose, caution)

    same, others = np.tile(people, 4), np.arange(8, dtype=np.int32)
    assert chosen(1, whose=people, caution=0.70) == chosen(4, whose=same, caution=0.70) == 1.0
    assert chosen(1, whose=people, caution=0.71) == chosen(4, whose=same, caution=0.71) == 0.0
    assert chosen(4, whose=others, caution=1.41) == 1.0
    assert chosen(4, whose=others, caution=1.42) == 0.0


def test_the_lists_of_a_person_count_by_their_weight():
    whose, weight = np.array([0, 0, 1], np.int32), np.array([3.0, 1.0, 4.0])
    held_out = {share: np.array([0.4, 0.0, 0.1]) * share for share in SHARES}  # means 0.3 and 0.1, error 0.0707
    assert choose_share(held_out, weight, whose, 2.82) == 1.0
    assert choose_share(held_out, weight, whose, 2.83) == 0.0
