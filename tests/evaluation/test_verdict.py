"""The page says what the figures say: one case for every kind of answer."""

from dataclasses import replace

import pytest

from kuapin.evaluation.report import Method, Report
from kuapin.evaluation.verdict import findings, headline, outcome

METHODS = (
    Method("Kuapin", "model"),
    Method("popularity", "popularity"),
    Method("item-kNN", "baseline"),
    Method("random", "chance"),
)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def report(*comparisons) -> Report:
    return Report("A shop", "today", methods=METHODS, comparisons=comparisons)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1.01, 1.4, "better"), (0.9, 1.2, "unclear"), (1.0, 1.4, "unclear"), (0.5, 0.99, "worse")],
)
def test_only_an_interval_on_one_side_of_1_decides(comparison, low, high, expected):
    assert outcome(comparison("Next", "temporal", 0.1, {"item-kNN": 0.09}, low=low, high=high)) == expected


def test_a_gain_is_told_with_its_size_and_in_people(comparison):
    one = comparison("Next", "temporal", 0.12, {"item-kNN": 0.10, "random": 0.001}, low=1.1, high=1.3)
    (finding,) = findings(report(one))
    assert finding.label == "Helps"
    assert plain(finding.text) == (
        "Kuapin ranks better than item-kNN, the best simple method: 1.20 times its quality, 95 % interval 1.10 to "
        "1.30. Of 100 users, 50 find something that they go on to choose among the 10 shown; with item-kNN: 42."
    )
    assert headline(report(one)) == "Kuapin ranks better than the best simple method in the test."


def test_popularity_is_all_that_works(comparison):
    one = comparison("Next", "temporal", 0.1, {"popularity": 0.12, "item-kNN": 0.05, "random": 0.001}, high=0.95)
    (finding,) = findings(report(one))
    assert finding.outcome == "worse"
    assert plain(finding.text).startswith("popularity ranks better: Kuapin reaches 0.83 times its quality")
    assert finding.text.endswith("Popularity is all that works here.")
    assert headline(report(one)) == (
        "Kuapin does not rank better than the best simple method in the test: it ranks worse. "
        "Popularity is all that works here."
    )


def test_popularity_is_not_named_where_another_baseline_is_best(comparison):
    one = comparison("Next", "temporal", 0.1, {"popularity": 0.09, "item-kNN": 0.1, "random": 0.001})
    (finding,) = findings(report(one))
    assert finding.outcome == "unclear"
    assert "all that works" not in finding.text
    assert headline(report(one)).endswith("A simple method serves as well.")


def test_nothing_beats_chance(comparison):
    one = comparison("Next", "temporal", 0.001, {"popularity": 0.0011, "random": 0.001})
    (finding,) = findings(report(one))
    assert finding.text.endswith("Nothing finds more than chance does.")
    assert "Popularity" not in finding.text


def test_a_baseline_whose_interval_reaches_down_to_chance_is_not_sure_to_work(comparison):
    """0.0093 ± 0.0043 and 0.0010 ± 0.0040 touch; 0.0105 ± 0.0043 and 0.0010 ± 0.0040 do not."""
    told = [
        findings(report(comparison("Next", "temporal", best, {"popularity": best, "random": 0.001})))[0].text
        for best in (0.0093, 0.0105)
    ]
    assert told[0].endswith("Nothing finds more than chance does.")
    assert told[1].endswith("Popularity is all that works here.")


def test_the_shot_levels_of_a_launch_are_one_finding(comparison):
    others = {"popularity": 0.1, "random": 0.001}
    shots = (
        comparison("Deli", "launch", 0.13, others, shot=0.0, low=1.2, high=1.4),
        comparison("Deli", "launch", 0.1, others, shot=0.01),
        comparison("Deli", "launch", 0.08, others, shot=1.0, high=0.9),
    )
    (finding,) = findings(report(*shots))
    assert (finding.title, finding.outcome, finding.label) == ("Opening Deli", "mixed", "Depends")
    assert plain(finding.text) == (
        "Kuapin ranks better than the best simple method with none (1.30 × popularity) of its users seen. "
        "There is no clear difference with 1 % (1.00 × popularity) of its users seen. "
        "The best simple method ranks better with 100 % (0.80 × popularity) of its users seen. "
        "Popularity is all that works here."
    )
    assert headline(report(*shots)) == (
        "Kuapin ranks better than the best simple method in 1 of 3 tests; in 1 it ranks worse and in 1 there is no "
        "clear difference."
    )


def test_a_launch_says_at_which_level_popularity_is_all(comparison):
    shots = (
        comparison("Deli", "launch", 0.0011, {"popularity": 0.0008, "item-kNN": 0.0011, "random": 0.001}, shot=0.0),
        comparison("Deli", "launch", 0.1, {"popularity": 0.1, "item-kNN": 0.05, "random": 0.001}, shot=0.01),
    )
    (finding,) = findings(report(*shots))
    assert finding.outcome == "unclear"
    assert plain(finding.text).endswith(
        "Nothing finds more than chance does with none of its users seen. "
        "Popularity is all that works with 1 % of its users seen."
    )


def test_without_comparisons_there_is_no_verdict():
    assert headline(report()) == ""
    assert findings(report()) == []


def test_what_is_not_judged_is_in_no_verdict(comparison):
    better = comparison("Next", "temporal", 0.12, {"item-kNN": 0.10}, low=1.1, high=1.3)
    worse = replace(comparison("Mixed", "temporal", 0.1, {"popularity": 0.2}, high=0.9), judged=False)
    assert [finding.title for finding in findings(report(better, worse))] == ["Next"]
    assert headline(report(better, worse)) == headline(report(better))
    assert headline(report(worse)) == ""
