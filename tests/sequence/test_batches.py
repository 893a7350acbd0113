import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuapin.data.histories import Histories, from_interactions
from kuapin.sequence.batches import GAPS, Batches, gap_kinds, latest, padded

CATEGORIES = np.array([0, 0, 0, 1, 1, 1, 1, 0], np.int32)


def histories_of(*lists, times=None):
    users = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    items = np.concatenate([np.asarray(one, int) for one in lists])
    when = np.arange(len(items)) if times is None else np.asarray(times)
    return from_interactions(
        users, items, when, np.zeros(len(items), np.uint8), n_users=len(lists), n_items=8, timed=times is not None
    )


def test_kinds_of_gaps_are_doublings_of_a_minute():
    log = histories_of([0, 1, 2, 3, 4], [5, 6], times=[0, 30, 90, 210, 10**12, 0, 59])
    assert gap_kinds(log).tolist() == [0, 0, 1, 2, GAPS - 1, 0, 0]
    assert gap_kinds(histories_of([0, 1])).tolist() == [0, 0]  # an order is no time


def test_padding_is_on_the_right_and_the_latest_are_read():
    log = histories_of([0, 1, 2], [], [3])
    batch = padded(log, gap_kinds(log), latest(log, 2))
    assert batch.items.tolist() == [[1, 2], [0, 0], [3, 0]]


def test_every_interaction_is_found_from_those_before_it():
    log = histories_of([0, 1, 2], [3, 4], [5])
    (batch,) = Batches(log, CATEGORIES, 50, 8, masked_share=0.0).epoch(np.random.default_rng(0))
    asked = {
        (tuple(batch.items[row, : place + 1].tolist()), answer)
        for row, place, answer in zip(batch.rows, batch.places, batch.answers, strict=True)
    }
    assert asked == {((0,), 1), ((0, 1), 2), ((3,), 4)}


@given(st.integers(0, 1_000))
def test_a_long_history_gives_a_stretch_of_it(seed):
    long = [0, 1, 2, 3, 4, 5, 6, 7]
    (batch,) = Batches(histories_of(long), CATEGORIES, 3, 8, masked_share=0.0).epoch(np.random.default_rng(seed))
    first = batch.items[0, 0]
    assert batch.items[0].tolist() == long[first : first + 3]
    assert batch.answers.tolist() == long[first + 1 : first + 4]


def test_an_opening_is_found_from_the_other_categories():
    log = histories_of([0, 3, 1, 4], [2, 5, 5], [0, 1], [3, 4])
    seen = set()
    for seed in range(20):
        for batch in Batches(log, CATEGORIES, 50, 8, masked_share=1.0).epoch(np.random.default_rng(seed)):
            assert batch.opening
            for row in range(len(batch.items)):
                mine = batch.rows == row
                read = tuple(batch.items[row, : batch.places[mine][0] + 1].tolist())
                seen.add((read, tuple(sorted(batch.answers[mine].tolist()))))
    # the third and the fourth user have been in one category only
    assert seen == {((0, 1), (3, 4)), ((3, 4), (0, 1)), ((2,), (5,)), ((5, 5), (2,))}


def test_the_gaps_of_an_opening_are_those_of_what_is_left():
    """0 and 1 lie ten minutes apart, with two hidden items between them; what is first has no gap."""
    log = histories_of([3, 4, 0, 5, 6, 1], times=[0, 60, 3600, 3700, 3800, 4200])
    seen = set()
    for seed in range(20):
        (batch,) = Batches(log, CATEGORIES, 2, 8, masked_share=1.0).epoch(np.random.default_rng(seed))
        seen.add((tuple(batch.items[0].tolist()), tuple(batch.gaps[0].tolist())))
    assert seen == {((0, 1), (0, 4)), ((5, 6), (6, 1))}  # at most the two latest are read


def test_no_more_than_ten_are_asked_for():
    categories = np.repeat([0, 1], [1, 20]).astype(np.int32)
    users, items = np.zeros(21, int), np.arange(21)
    log = from_interactions(users, items, items, items.astype(np.uint8) * 0, n_users=1, n_items=21, timed=False)
    sizes = {
        len(batch.answers)
        for seed in range(30)
        for batch in Batches(log, categories, 50, 8, masked_share=1.0).epoch(np.random.default_rng(seed))
    }
    assert sizes == {1, 10}


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.5, 8), (1.0, 8)])
def test_the_share_of_openings(share, expected):
    log = histories_of(*([[0, 3]] * 8))
    batches = list(Batches(log, CATEGORIES, 50, 1, share).epoch(np.random.default_rng(0)))
    assert sum(batch.opening for batch in batches) == expected
    assert sum(not batch.opening for batch in batches) == (0 if share == 1.0 else 8)


def test_an_opening_costs_what_its_users_did(monkeypatch):
    """The log of all others is not touched: a pass would take the square of its length."""
    log = histories_of(*([[0, 1, 5, 6]] * 300))
    batches = Batches(log, CATEGORIES, 10, 4, 1.0)
    seen = []
    keep = Histories.keep
    monkeypatch.setattr(Histories, "keep", lambda self, mask: seen.append(len(mask)) or keep(self, mask))
    batches.batch(np.arange(4), np.random.default_rng(0), opening=True)
    assert seen == [16]
