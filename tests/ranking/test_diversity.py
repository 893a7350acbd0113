import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kuapin.ranking.diversity import occurrence, room, within_cap


def test_room_by_hand():
    indptr, category = np.array([0, 4, 4, 6]), np.array([7, 7, 7, 8, 7, 7])
    assert room(indptr, category, None).tolist() == [4, 0, 2]
    assert room(indptr, category, 2).tolist() == [3, 0, 2]
    assert room(indptr, category, 1).tolist() == [2, 0, 1]


def test_cap_by_hand():
    users = np.array([0, 0, 0, 0, 1, 1])
    category = np.array([7, 7, 7, 8, 7, 7])
    order = np.arange(6)
    assert within_cap(order, users, category, 2, None).tolist() == [0, 1, 4, 5]
    # at most one of 7 for user 0, who has an 8; user 1 has nothing else, so the list is filled all the same
    assert within_cap(order, users, category, 2, 1).tolist() == [0, 3, 4, 5]
    assert within_cap(order, users, category, 3, 2).tolist() == [0, 1, 3, 4, 5]


def test_occurrence_by_hand():
    assert occurrence(np.array([0, 0, 1, 0, 1]), np.array([5, 6, 5, 5, 5])).tolist() == [0, 0, 0, 1, 1]
    assert occurrence(np.empty(0, np.int64)).tolist() == []


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=60),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_no_list_is_shortened_and_the_cap_holds_where_there_is_a_choice(rows, n, cap):
    users = np.sort(np.array([user for user, _ in rows], np.int64))
    category = np.array([code for _, code in rows], np.int64)
    kept = within_cap(np.arange(len(rows)), users, category, n, cap)
    assert np.all(np.diff(kept) > 0)
    for user in range(4):
        mine = kept[users[kept] == user]
        has = category[users == user]
        assert len(mine) == min(n, len(has))
        room = sum(min(cap, int((has == code).sum())) for code in set(has.tolist()))
        if room >= n:
            assert max(np.bincount(category[mine]), default=0) <= cap
