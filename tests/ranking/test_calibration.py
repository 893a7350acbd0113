import numpy as np
import pytest
from scipy.special import expit

from kuapin.ranking import calibration
from kuapin.ranking.calibration import (
    Calibration,
    calibration_errors,
    cross_fitted,
    expected_calibration_error,
    fit_calibration,
    no_calibration,
    platt,
)
from kuapin.ranking.discoveries import Asked
from kuapin.ranking.lists import Lists, ndcg_at_10


def lists_of(sizes, relevant) -> Lists:
    indptr = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    users = np.repeat(np.arange(len(sizes)), sizes)
    relevant = np.asarray(relevant, np.bool_)
    answers = np.bincount(users, weights=relevant, minlength=len(sizes)).astype(np.int64)
    items = np.arange(len(relevant), dtype=np.int32)
    return Lists(
        indptr,
        items,
        np.zeros((len(relevant), 1), np.float32),
        relevant,
        answers,
        np.ones(len(sizes)),
        np.full(len(sizes), -1),
        np.arange(len(sizes), dtype=np.int32),
    )


def asked(lists: Lists, new=None) -> Asked:
    """Nothing is new unless said so."""
    fresh = np.zeros(len(lists.items), np.bool_) if new is None else new
    answers = np.bincount(lists.users, weights=lists.relevant & fresh, minlength=len(lists)).astype(np.int64)
    return Asked(lists, fresh, answers)


@pytest.fixture
def straight(monkeypatch):
    """No bend: what a handful of scores have in common is told by the offsets alone."""
    monkeypatch.setattr(calibration, "KNOTS", 0)


def test_platt_finds_the_slope_and_intercept_that_made_the_data():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=40_000)
    right = rng.random(40_000) < expit(1.7 * scores - 2.0)
    slope, intercept = platt(scores, right)
    assert slope == pytest.approx(1.7, abs=0.06)
    assert intercept == pytest.approx(-2.0, abs=0.06)


@pytest.mark.parametrize("right", [[True] * 6, [False] * 6, [True] * 3 + [False] * 3])
def test_the_probability_rises_with_the_score_whatever_the_data_say(right):
    slope, intercept = platt(np.arange(6.0), np.array(right))
    assert slope > 0
    assert np.isfinite(intercept)


def test_expected_calibration_error_by_hand():
    right = np.array([True, False] * 10)
    assert expected_calibration_error(np.full(20, 0.5), right) == pytest.approx(0.0)
    assert expected_calibration_error(np.full(20, 0.7), right) == pytest.approx(0.2)
    # the ten with p = .9 come half the time (.4 off), the ten with p = .5 too (0 off)
    assert expected_calibration_error(np.repeat([0.9, 0.5], 10), right) == pytest.approx(0.2)
    assert expected_calibration_error(np.empty(0), np.empty(0, np.bool_)) == 0.0


def test_a_category_that_is_taken_more_often_than_its_scores_say_is_lifted():
    rng = np.random.default_rng(1)
    n = 600
    category = np.tile([0, 1, 0, 1, 0, 1], n)
    scores = rng.normal(size=6 * n)
    right = rng.random(6 * n) < expit(1.5 * scores - 1.5 + 1.2 * category)
    lists = lists_of([6] * n, right)
    scale = fit_calibration(asked(lists), scores, category, 2)
    figures = calibration_errors(lists, cross_fitted(asked(lists), scores, category, 2), category, ("A", "B"))
    assert scale.offset[1] - scale.offset[0] == pytest.approx(1.2, abs=0.45)
    flat = Calibration(*platt(scores, right), np.zeros(2))
    for code in (0, 1):
        inside = category == code
        own = expected_calibration_error(flat.shown(flat.logit(scores, category))[inside], right[inside])
        assert figures[f"ece.{'AB'[code]}"] < own / 2
    assert ndcg_at_10(lists, scale.logit(scores, category)).mean() > ndcg_at_10(lists, scores).mean()


@pytest.mark.usefixtures("straight")
def test_offsets_that_would_lower_the_order_are_dropped():
    """Category 1 is taken far more often than promised at low scores; lifting it would spoil the lists at the top."""
    top = 120
    sizes = [3] * top + [3] * 300
    scores = np.concatenate([np.tile([2.0, 1.9, -3.0], top), np.tile([-1.0, -1.0, -1.01], 300)])
    category = np.concatenate([np.tile([0, 1, 0], top), np.tile([1, 1, 1], 300)])
    right = np.concatenate([np.tile([True, False, False], top), np.tile([True, True, False], 300)])
    lists = lists_of(sizes, right)
    scale = fit_calibration(asked(lists), scores, category, 2)
    assert scale.offset.tolist() == [0.0, 0.0]
    assert ndcg_at_10(lists, scale.logit(scores, category)).mean() == ndcg_at_10(lists, scores).mean()


@pytest.mark.usefixtures("straight")
def test_offsets_that_would_lower_the_order_of_discoveries_are_cut():
    """Lifting category 1 puts what is taken again first, and something that is not taken first of what is new."""
    n = 300
    scores = np.tile([1.01, 1.0, 0.9, 0.895, 0.5, 0.5, 0.5, 0.5], n)
    category = np.tile([0, 1, 0, 1, 0, 0, 0, 0], n)
    right = np.tile([False, True, True, False, False, False, False, False], n)
    lists = lists_of([8] * n, right)
    new = np.tile([False, False, True, True, False, False, False, False], n)
    free, kept = (fit_calibration(one, scores, category, 2) for one in (asked(lists), asked(lists, new)))
    before = asked(lists, new).means(scores)[1]
    assert asked(lists, new).means(free.logit(scores, category))[1] < before
    assert asked(lists, new).means(kept.logit(scores, category))[1] == before


def test_what_is_measured_was_not_fitted_on():
    """Turning round what the even users took changes the odds of the odd ones, and not their own."""
    rng = np.random.default_rng(3)
    right = rng.random(1200) < 0.3
    scores, category = rng.normal(size=1200), np.zeros(1200, np.int64)
    even = lists_of([6] * 200, right).users % 2 == 0
    before, after = (
        cross_fitted(asked(lists_of([6] * 200, taken)), scores, category, 1)
        for taken in (right, np.where(even, ~right, right))
    )
    assert np.array_equal(before[even], after[even])
    assert not np.allclose(before[~even], after[~even])


def test_saved_as_plain_values():
    scale = Calibration(1.5, -2.0, np.array([0.25, 0.0]))
    again = Calibration.from_json(scale.to_json())
    assert again.to_json() == scale.to_json()
    assert no_calibration(3).logit(np.array([2.0]), np.array([1])) == 2.0


def curved(n: int, rng: np.random.Generator):
    """Six candidates a list, taken by odds that no line in the score describes: they stop rising at the top."""
    scores = rng.normal(size=6 * n) * 2
    truth = expit(np.minimum(1.5 * scores - 2.0, -1.0))
    return scores, truth, rng.random(6 * n) < truth


def test_a_bend_is_kept_where_a_line_does_not_describe_what_came():
    rng = np.random.default_rng(5)
    scores, truth, right = curved(3_000, rng)
    category = np.zeros(len(scores), np.int64)
    scale = fit_calibration(asked(lists_of([6] * 3_000, right)), scores, category, 1)
    assert scale.bend.shape[1] >= 3
    line = Calibration(*platt(scores, right), np.zeros(1))
    error, before = (np.abs(expit(one.logit(scores, category)) - truth).mean() for one in (scale, line))
    assert error < before / 3


def test_a_bent_scale_keeps_the_order_and_is_saved():
    rng = np.random.default_rng(6)
    scores, _, right = curved(3_000, rng)
    scale = fit_calibration(asked(lists_of([6] * 3_000, right)), scores, np.zeros(len(scores), np.int64), 1)
    asked_for = np.linspace(-30, 30, 500)
    logits = scale.logit(asked_for, np.zeros(500, np.int64))
    assert (np.diff(logits) > 0).all()
    again = Calibration.from_json(scale.to_json())
    assert np.array_equal(again.logit(asked_for, np.zeros(500, np.int64)), logits)


def test_with_few_right_candidates_a_line_stays_a_line():
    rng = np.random.default_rng(7)
    few = rng.normal(size=120)
    taken = np.tile([True, False, False, False, False, False], 20)
    assert fit_calibration(asked(lists_of([6] * 20, taken)), few, np.zeros(120, np.int64), 1).bend.size == 0


def test_beyond_what_was_seen_nothing_more_is_promised_and_the_order_stays():
    scale = Calibration(2.0, -1.0, np.array([0.0]), top=3.0)
    promised = scale.logit(np.array([0.0, 2.0, 2.5, 50.0]), np.zeros(4, np.int64))
    assert promised[:2].tolist() == [-1.0, 3.0]
    assert (np.diff(promised) > 0).all()
    assert promised[3] < 3.0 + 0.1
    again = Calibration.from_json(scale.to_json())
    assert again.top == 3.0
    assert "top" not in Calibration(2.0, -1.0, np.array([0.0])).to_json()
