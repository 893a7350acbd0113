import numpy as np
import pytest

from kuapin.ranking.discoveries import Asked
from kuapin.ranking.lists import Lists


@pytest.fixture
def by_hand() -> Asked:
    """Two users with the candidates 0 to 2; the first knows item 0 and takes 0 and 2, the second knows and takes 1."""
    lists = Lists(
        np.array([0, 3, 6]),
        np.array([0, 1, 2, 0, 1, 2], np.int32),
        np.arange(6, dtype=np.float32)[:, None],
        np.array([True, False, True, False, True, False]),
        np.array([2, 1]),
        np.ones(2),
        np.full(2, -1, np.int32),
        np.arange(2, dtype=np.int32),
    )
    return Asked(lists, np.array([False, True, True, True, False, True]), np.array([1, 0]))


def test_discoveries_leave_out_what_the_user_knows(by_hand):
    lists = by_hand.discoveries()
    assert lists.items.tolist() == [1, 2, 0, 2]
    assert lists.relevant.tolist() == [False, True, False, False]
    assert lists.answers.tolist() == [1, 0]


def test_each_kind_is_judged_on_its_own(by_hand):
    scores = np.array([3.0, 2.0, 1.0, 1.0, 3.0, 2.0])
    every, new = by_hand.means(scores)
    ideal = 1 + 1 / np.log2(3)
    assert every == pytest.approx(((1 + 1 / np.log2(4)) / ideal + 1) / 2)
    assert new == pytest.approx(1 / np.log2(3))  # of the first user alone: the second took nothing new


def test_the_two_lists_of_a_user_are_learnt_from_together(by_hand):
    lists = by_hand.to_learn_from()
    assert lists.launch.tolist() == [0, 1, 0, 1]
    assert lists.whose.tolist() == [0, 1, 0, 1]
    assert len(lists.items) == 6 + 4


def test_of_reads_what_is_new_from_the_histories(visible):
    histories = visible.histories
    queries = histories.select(np.arange(8))
    answers = histories.select(np.arange(8, 16))
    n = 8 * 96
    lists = Lists(
        np.arange(9) * 96,
        np.tile(np.arange(96, dtype=np.int32), 8),
        np.arange(n, dtype=np.float32)[:, None],
        np.zeros(n, np.bool_),
        np.ones(8, np.int64),
        np.ones(8),
        np.full(8, -1, np.int32),
        np.arange(8, dtype=np.int32),
    )
    asked = Asked.of(lists, queries, answers)
    for user in range(8):
        fresh = set(answers.of(user).tolist()) - set(queries.of(user).tolist())
        assert asked.new_answers[user] == len(fresh)
        assert set(np.flatnonzero(~asked.new[user * 96 : (user + 1) * 96])) == set(queries.of(user).tolist())
    part = asked.select(np.array([2, 5]))
    assert np.array_equal(part.new, np.concatenate([asked.new[192:288], asked.new[480:576]]))
    assert np.array_equal(part.new_answers, asked.new_answers[[2, 5]])
    assert part.lists.features[[0, 96], 0].tolist() == [192, 480]


def test_what_is_struck_out_is_struck_out_of_both(by_hand):
    kept = by_hand.keep(np.array([False, True, True, True, True, False]))
    assert kept.lists.items.tolist() == [1, 2, 0, 1]
    assert kept.new.tolist() == [True, True, True, False]
    assert kept.discoveries().items.tolist() == [1, 2, 0]
