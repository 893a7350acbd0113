"""Lists filled place by place, on candidates whose right lists are worked out by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kuapin.ranking.greedy import Dial, Share, Spread, fill

VALUE = np.array([[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]])
ALL = np.ones((1, 6), bool)
KIND = np.array([[0, 0, 0, 1, 1, 2]])


def chosen(n, **options):
    places, _ = fill(VALUE, options.pop("present", ALL), n, **options)
    return places[0].tolist()


def test_without_conditions_the_best_come_first_and_a_short_list_ends():
    assert chosen(3) == [0, 1, 2]
    assert chosen(3, present=np.array([[True, False, True, False, False, False]])) == [0, 2, -1]


def test_of_no_candidates_nothing_is_chosen():
    places, cause = fill(np.empty((2, 0)), np.empty((2, 0), bool), 3)
    assert places.tolist() == cause.tolist() == [[-1, -1, -1]] * 2


def test_a_cap_gives_way_rather_than_shorten_the_list():
    assert chosen(4, spreads=[Spread(KIND, 1, None)]) == [0, 3, 5, 1]
    assert chosen(3, spreads=[Spread(KIND, 2, None)]) == [0, 1, 3]


def test_what_has_no_group_is_under_no_cap():
    assert chosen(3, spreads=[Spread(np.full((1, 6), -1), 1, None)]) == [0, 1, 2]


def test_a_floor_is_reached_as_late_as_it_can_be():
    assert chosen(4, spreads=[Spread(KIND, None, 3)]) == [0, 1, 3, 5]
    assert chosen(4, spreads=[Spread(KIND, None, 2)]) == [0, 1, 2, 3]
    assert chosen(4, spreads=[Spread(KIND, None, 9)]) == [0, 3, 5, 1]  # as far as the candidates go


def test_a_share_asked_for_at_least_comes_last_and_says_so():
    share = Share(KIND == 1, 2, None)
    places, cause = fill(VALUE, ALL, 4, shares=[share])
    assert places[0].tolist() == [0, 1, 3, 4]
    assert cause[0].tolist() == [-1, -1, 0, 0]
    places, cause = fill(VALUE, ALL, 3, shares=[Share(KIND == 0, 2, None)])
    assert cause[0].tolist() == [-1, -1, -1]  # they would have stood there anyway


def test_at_most_is_kept_even_if_the_list_ends():
    assert chosen(6, shares=[Share(KIND == 0, 0, 1)]) == [0, 3, 4, 5, -1, -1]
    assert chosen(2, shares=[Share(KIND == 0, 0, 0)]) == [3, 4]


def test_two_shares_are_both_kept():
    assert chosen(4, shares=[Share(KIND == 1, 1, None), Share(KIND == 2, 1, None)]) == [0, 1, 3, 5]


def test_a_pinned_candidate_stands_at_its_place_and_nowhere_else():
    pinned = np.array([[-1, 5, -1]])
    assert chosen(3, pinned=pinned) == [0, 5, 1]
    assert chosen(3, pinned=pinned, shares=[Share(KIND == 1, 1, None)]) == [0, 5, 3]
    last = np.array([[-1, -1, 5]])
    assert chosen(3, pinned=last, shares=[Share(KIND == 1, 1, None)]) == [0, 3, 5]


def test_the_dial_takes_what_is_alike_or_brings_it():
    """Two pairs of twins: a0, a1 and b3, b4. Relevance is 1, .8, .6, .4, .2, 0."""
    twin = np.zeros((6, 6))
    twin[0, 1] = twin[1, 0] = twin[3, 4] = twin[4, 3] = 1

    each, none = np.arange(6)[None], np.zeros((1, 6))

    def dial(d, kind=each, familiar=none):
        return Dial(d, kind, familiar, lambda pick: twin[pick])

    assert chosen(3, dial=dial(0.0)) == [0, 1, 2]
    # at .6: a1 has .32 - .2 = .12 beside a0, a2 has .24 and b3 .16, so a1 comes fourth
    assert chosen(4, dial=dial(0.6)) == [0, 2, 3, 1]
    # at -.6: b4 has .08 + .2 once b3 is in; a1 comes with a0
    assert chosen(5, dial=dial(-0.6)) == [0, 1, 2, 3, 4]
    last = np.array([[0.0, 0, 0, 0, 0, 1]])
    assert chosen(1, dial=dial(-0.9, familiar=last)) == [5]  # .1 · 0 + .3 against .1
    assert chosen(6, dial=dial(0.1, familiar=last))[-1] == 5
    # at .5 without twins: the second of kind 0 has .4 - .5 / 3 = .23, the first of kind 1 .2; the third .3 - .17 = .13
    alone = Dial(0.5, KIND, none, lambda pick: none)
    assert chosen(3, dial=alone) == [0, 1, 3]


@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 8),
    cap=st.none() | st.integers(1, 3),
    floor=st.none() | st.integers(1, 4),
    least=st.integers(0, 3),
)
def test_no_candidate_twice_and_no_gap(seed, n, cap, floor, least):
    rng = np.random.default_rng(seed)
    value = -np.sort(-rng.normal(size=(5, 9)), axis=1)
    present = rng.random((5, 9)) < 0.7
    kinds = rng.integers(-1, 4, (5, 9))
    share = Share(kinds == 1, least, None)
    places, _ = fill(value, present, n, spreads=[Spread(kinds, cap, floor)], shares=[share])
    for user, row in enumerate(places):
        got = row[row >= 0]
        assert len(set(got)) == len(got) == min(n, present[user].sum())
        assert (row[: len(got)] >= 0).all()
        assert present[user, got].all()
        assert share.members[user, got].sum() >= min(least, n, (share.members & present)[user].sum())
