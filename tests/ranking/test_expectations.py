"""What replayed openings let expect, on cases worked out by hand."""

import numpy as np
import pytest

from kuapin.ranking.expectations import Expectations, Level, Quality, one_more
from kuapin.ranking.lists import Lists, hits_at_10, ndcg_at_10


def lists_of(*relevant: list[int]) -> Lists:
    """One list a person, with the right candidates marked; no features."""
    lengths, n = [len(one) for one in relevant], len(relevant)
    marks = np.array([mark for one in relevant for mark in one], np.bool_)
    indptr, ones = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64), np.ones(n)
    items, features = np.arange(len(marks), dtype=np.int32), np.empty((len(marks), 0), np.float32)
    return Lists(
        indptr, items, features, marks, ones.astype(np.int64), ones, np.zeros(n, np.int32), np.arange(n, dtype=np.int32)
    )


def quality(*means: float) -> tuple[Quality, ...]:
    """One launch a mean, two people each, one of whom found something."""
    return tuple(Quality(np.array([mean + 0.01, mean - 0.01]), np.array([1.0, 0.0])) for mean in means)


def level(shot: float, people: int, **means: tuple[float, ...]) -> Level:
    launches = len(next(iter(means.values())))
    return Level(
        shot,
        np.full(launches, people),
        np.full(launches, 3 * people),
        {strategy: quality(*values) for strategy, values in means.items()},
    )


def expectations(*levels: Level) -> Expectations:
    empty = np.empty(0)
    return Expectations(levels, (), empty, lists_of(), {}, (empty, empty > 0), 0.95)


def test_launches_that_differ_make_the_range_wide():
    # All but no error of the people: the variance between the launches is that of the sample, 2 · log²2; that of one
    # more launch half as much again, and with two launches one degree of freedom, for which t is 12.7062.
    found = one_more(np.log([1.0, 4.0]), np.full(2, 1e-9))
    reach = 12.7062 * np.sqrt(2 * np.log(2) ** 2 * 1.5)
    assert found.value == pytest.approx(2.0)
    assert np.log(found.high / 2) == pytest.approx(reach, rel=1e-4)
    assert np.log(2 / found.low) == pytest.approx(reach, rel=1e-4)


def test_launches_that_agree_leave_the_error_of_the_people():
    found = one_more(np.zeros(4), np.full(4, 0.04))  # none between them: 0.04 / 4, two degrees of freedom
    assert np.log(found.high) == pytest.approx(4.3027 * 0.1, rel=1e-4)
    assert found.value == 1.0


def test_one_launch_tells_no_range():
    found = one_more(np.log([3.0]), np.array([0.1]))
    assert found.value == pytest.approx(3.0)
    assert np.isnan([found.low, found.high]).all()


def test_the_best_is_chosen_and_of_equals_the_plainest():
    assert level(0, 0, popularity=(0.1, 0.1), text=(0.2, 0.3), mixture=(0.3, 0.1), transfer=(0.2, 0.2)).best == "text"
    assert level(0, 0, popularity=(0.1, 0.2), text=(0.2, 0.1), mixture=(0.2, 0.1), transfer=(0.1, 0.2)).best == (
        "popularity"
    )


def test_a_clear_gain_is_named_before_an_unclear_one():
    today = level(0.0, 0, popularity=(0.1,) * 4, text=(0.30, 0.31, 0.30, 0.31))
    unclear = level(0.01, 5, popularity=(0.1,) * 4, text=(0.29, 0.33, 0.31, 0.33))
    clear = level(0.1, 50, popularity=(0.6, 0.62, 0.6, 0.62), text=(0.3,) * 4)
    assert expectations(today, unclear, clear).next_stage("text", 0.0).shot == 0.1
    stage = expectations(today, unclear).next_stage("text", 0.0)
    assert (stage.shot, stage.gain.low < 1) == (0.01, True)
    assert expectations(today).next_stage("text", 0.0) is None


def test_stages_follow_each_other():
    found = expectations(
        level(0.0, 0, popularity=(0.1, 0.1, 0.1), text=(0.3, 0.3, 0.3)),
        level(0.01, 5, popularity=(0.4, 0.2, 0.2), text=(0.3, 0.3, 0.25)),  # better than .3 in one launch of three
        level(0.1, 50, popularity=(0.5, 0.4, 0.2), text=(0.3, 0.3, 0.3)),
        level(1.0, 500, popularity=(0.6, 0.6, 0.6), text=(0.3, 0.3, 0.3)),
    )
    assert found.at(0.05).shot == 0.01
    stage = found.next_stage("text", 0.0)
    assert (stage.shot, stage.strategy, stage.people, stage.interactions) == (1.0, "popularity", 500, 1500)
    assert stage.sure == 1.0  # at .1 it was better in two of three, and its range held 1
    assert found.next_stage("popularity", 1.0) is None
    assert found.matched("text", 0.0).shot == 0.01  # popularity has .267 there and .367 at 10 %
    assert found.matched("popularity", 0.0) is None
    assert not found.above_popularity("text", 0.0)
    assert not found.above_popularity("popularity", 1.0)
    never = expectations(level(0.0, 0, popularity=(0.1,), text=(0.3,)), level(1.0, 9, popularity=(0.2,), text=(0.3,)))
    assert never.above_popularity("text", 0.0)
    np.testing.assert_allclose(found.by_launch("text", 0.0), 3.0, rtol=0.25)  # drawn to 1 by the one more user


def test_a_level_at_which_nobody_was_seen_is_no_stage():
    found = expectations(level(0.0, 0, popularity=(0.1,), text=(0.3,)), level(0.01, 0, popularity=(0.5,), text=(0.3,)))
    assert found.next_stage("text", 0.0) is None


def test_hits_count_the_first_ten():
    lists = lists_of([0] * 10 + [1, 0], [0, 1, 0])
    ranks = np.array([*range(12, 0, -1), *range(3, 0, -1)], float)
    assert hits_at_10(lists, ranks).tolist() == [0.0, 1.0]  # the right one is eleventh, and second
    assert ndcg_at_10(lists, ranks).tolist() == [0.0, pytest.approx(1 / np.log2(3))]


def test_negative_transfer_is_what_is_taught_nothing_doing_better():
    found = expectations(
        level(0.0, 0, popularity=(0.1, 0.1, 0.1), text=(0.3, 0.2, 0.2), mixture=(0.9,) * 3, transfer=(0.2, 0.25, 0.2)),
        level(0.1, 50, popularity=(0.3, 0.4, 0.2), text=(0.1, 0.1, 0.1), transfer=(0.1, 0.2, 0.1)),
        level(1.0, 500, popularity=(0.3, 0.3, 0.3), text=(0.3, 0.3, 0.3), transfer=(0.4, 0.4, 0.2)),
    )
    (text,) = found.negative_transfer(0.0)  # .233 to .217
    assert (text.against, text.worse) == ("text", pytest.approx(1 / 3))
    assert text.ratio.low < text.ratio.value < 1 < text.ratio.high
    assert [(one.against, one.worse) for one in found.negative_transfer(0.1)] == [("popularity", 1.0)]
    assert found.negative_transfer(1.0) == ()
    assert expectations(level(0.0, 0, popularity=(0.1,), text=(0.3,))).negative_transfer(0.0) == ()
