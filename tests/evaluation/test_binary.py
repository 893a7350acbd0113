import numpy as np
import pytest

from kuapin.evaluation.binary import area_under_roc, average_precision

RIGHT = np.array([True, False, True, False])


def test_average_precision_by_hand():
    assert average_precision(RIGHT, np.array([4.0, 3, 2, 1])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(RIGHT, np.ones(4)) == pytest.approx(0.5)  # one threshold: the share that is right


def test_area_by_hand():
    assert area_under_roc(RIGHT, np.array([4.0, 3, 2, 1])) == pytest.approx(3 / 4)
    assert area_under_roc(RIGHT, np.array([1.0, 0, 1, 0])) == 1
    assert area_under_roc(RIGHT, np.ones(4)) == pytest.approx(0.5)


def test_a_weight_counts_like_rows():
    scores, often = np.array([4.0, 3, 2, 1]), np.array([2, 1, 3, 0])
    rows = np.repeat(np.arange(4), often)
    for measure in (average_precision, area_under_roc):
        assert measure(RIGHT, scores, often.astype(float)) == pytest.approx(measure(RIGHT[rows], scores[rows]))


def test_nothing_to_tell():
    assert average_precision(np.empty(0, bool), np.empty(0)) == 0
    assert area_under_roc(np.empty(0, bool), np.empty(0)) == 0.5
