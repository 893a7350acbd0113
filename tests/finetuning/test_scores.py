import numpy as np
import pytest

from kuapin.finetuning.scores import (
    label_counts,
    macro_f1,
    macro_f1_of,
    span_counts,
    span_f1,
    span_precision,
    span_recall,
    spans,
)


def test_macro_f1_by_hand():
    """Label 0: TP 1, FP 1, FN 0 → ⅔; label 1: TP 0, FN 1 → 0; label 2: never → left out."""
    wanted = np.array([[1, 0, 0], [0, 1, 0]], bool)
    said = np.array([[1, 0, 0], [1, 0, 0]], bool)
    assert macro_f1(wanted, said) == pytest.approx(1 / 3)
    drawn = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]) @ label_counts(wanted, said)  # the first alone, both, …
    assert macro_f1_of(drawn) == pytest.approx([1, 1 / 3, 0])


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["B-x", "I-x", "O", "B-x"], {(0, 2, "x"), (3, 4, "x")}),
        (["B-x", "B-x"], {(0, 1, "x"), (1, 2, "x")}),
        (["O", "I-x", "I-y"], {(1, 2, "x"), (2, 3, "y")}),
        ([], set()),
    ],
)
def test_spans_of_tags(tags, expected):
    assert spans(tags) == expected


def test_a_span_is_right_only_where_both_ends_and_the_kind_are():
    wanted = [{(0, 2, "x")}, {(1, 2, "x"), (4, 5, "y")}]
    said = [{(0, 1, "x")}, {(1, 2, "x"), (4, 5, "x"), (7, 8, "x")}]
    counts = span_counts(wanted, said).sum(axis=0)
    assert [of(counts) for of in (span_precision, span_recall, span_f1)] == pytest.approx([1 / 4, 1 / 3, 2 / 7])
    assert [of(np.zeros(3)) for of in (span_precision, span_recall, span_f1)] == [0, 0, 0]
