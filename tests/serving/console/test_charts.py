"""Where marks lie, worked out by hand."""

import math

import pytest

from kuapin.evaluation.bootstrap import Interval
from kuapin.serving.console.charts import HEIGHT, LEFT, RIGHT, TOP, WIDTH, _steps, curve, pairs, span

NAN = math.nan


@pytest.mark.parametrize(
    ("highest", "steps"),
    [
        (0.0, [0, 1]),
        (NAN, [0, 1]),
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.034, [0, 0.01, 0.02, 0.03, 0.04]),
        (7, [0, 2, 4, 6, 8]),
        (0.09, [0, 0.02, 0.04, 0.06, 0.08, 0.1]),
    ],
)
def test_axes_end_just_above_the_highest_value_at_round_figures(highest, steps):
    assert _steps(highest) == pytest.approx(steps)


def test_before_and_after_run_to_the_right():
    drawn = pairs(
        [("Soap", Interval(0.2, 0.1, 0.3), Interval(0.4, NAN, NAN)), ("Lamp", None, Interval(NAN, NAN, NAN))],
        label_width=100,
    )
    room = WIDTH - 100 - RIGHT  # of 0 to 0.4, the highest
    first, second = drawn.rows
    assert [tick.label for tick in drawn.ticks] == ["0", "0.1", "0.2", "0.3", "0.4"]
    assert first.before.x == pytest.approx(100 + room / 2)
    assert (first.before.low, first.before.high) == pytest.approx((100 + room / 4, 100 + room * 3 / 4))
    assert first.after.x == first.after.low == first.after.high == pytest.approx(100 + room)
    assert (first.before.told, first.after.told) == ("0.2000 (0.1000 – 0.3000)", "0.4000")
    assert (second.before, second.after) == (None, None)


def test_curves_run_upwards_and_pass_over_what_was_not_measured():
    one, other = Interval(0.2, 0.1, 0.2), Interval(0.1, 0.1, 0.1)
    drawn = curve(["0 %", "10 %"], [("ours", [Interval(0.0, 0.0, 0.0), one]), ("other", [None, other])])
    ours, other = drawn.lines
    bottom, gap = HEIGHT - 34, (WIDTH - LEFT - RIGHT) / 2
    assert ours.marks[0].y == bottom
    assert (ours.marks[1].y, ours.marks[1].low) == pytest.approx((TOP, TOP + (bottom - TOP) / 2))
    assert [mark.x for mark in ours.marks] == pytest.approx([LEFT + gap / 2 - 3.5, LEFT + gap * 1.5 - 3.5])
    assert len(other.marks) == 1
    assert other.marks[0].x == pytest.approx(LEFT + gap * 1.5 + 3.5)
    assert ours.path.count(",") == 2


def test_a_difference_lies_beside_nought_in_points_of_a_hundred():
    drawn = span(Interval(0.01, -0.005, 0.025))
    room = WIDTH - LEFT - RIGHT  # of -2.5 to 2.5
    assert [tick.label for tick in drawn.ticks] == ["-2.5", "0", "+2.5"]
    assert drawn.zero == pytest.approx(LEFT + room / 2)
    assert drawn.mark.x == pytest.approx(LEFT + room * 0.7)
    assert (drawn.mark.low, drawn.mark.high) == pytest.approx((LEFT + room * 0.4, LEFT + room))
