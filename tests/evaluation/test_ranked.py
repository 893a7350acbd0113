import numpy as np
import pytest

from kuapin.data.histories import from_interactions
from kuapin.errors import InputError
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked


def histories():
    """User 0 met 3 1 3, user 1 nothing, user 2 met 1."""
    return from_interactions(
        np.array([0, 0, 0, 2]),
        np.array([3, 1, 3, 1]),
        np.array([1, 2, 3, 1]),
        np.zeros(4, np.uint8),
        n_users=3,
        n_items=5,
        timed=True,
    )


def test_answers_are_distinct_and_ascending():
    answers = Answers.from_histories(histories())
    assert answers.indptr.tolist() == [0, 2, 2, 3]
    assert answers.items.tolist() == [1, 3, 1]
    assert answers.items.dtype == np.int32
    assert answers.counts.tolist() == [2, 0, 1]


def test_answers_among_some_items_leave_the_others_users_out():
    users, kept = Answers.from_histories(histories()).where(np.array([0, 0, 0, 1, 1], bool))
    assert users.tolist() == [0]
    assert kept.indptr.tolist() == [0, 1]
    assert kept.items.tolist() == [3]


def test_answers_of_some_users_in_their_order():
    taken = Answers.from_histories(histories()).take(np.array([2, 0]))
    assert taken.indptr.tolist() == [0, 1, 3]
    assert taken.items.tolist() == [1, 1, 3]


def test_popularity_counts_users_not_interactions():
    facts = ItemFacts.from_visible(histories(), np.zeros(5, np.int32))
    assert facts.popularity.tolist() == [0, 2, 0, 1, 0]
    assert facts.n_users == 2
    assert facts.candidates.tolist() == [0, 1, 2, 3, 4]


def test_from_flat_cuts_and_pads():
    ranked = Ranked.from_flat(np.array([0, 3, 3, 4]), np.array([5, 6, 7, 8], np.int32), 2)
    assert ranked.items.tolist() == [[5, 6], [-1, -1], [8, -1]]
    assert ranked.items.dtype == np.int32


def test_padding_inside_a_list_is_refused():
    with pytest.raises(InputError, match="row 1 has items after a -1"):
        Ranked(np.array([[1, -1], [-1, 1]], np.int32))


def test_flat_array_is_refused():
    with pytest.raises(InputError, match=r"shape \(users, k\); \(3,\) came"):
        Ranked(np.arange(3, dtype=np.int32))
