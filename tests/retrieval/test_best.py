import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kuapin.retrieval.best import best_columns


@given(st.lists(st.integers(-3, 3), max_size=300), st.integers(1, 40), st.sampled_from([-np.inf, -1.0, 0.0, 2.5]))
def test_as_sorting_everything(values, n, floor):
    """Few distinct values, so that ties are everywhere: the smaller column wins them."""
    scores = np.array(values, np.float32)
    order = np.argsort(-scores, kind="stable")
    expected = order[scores[order] > floor][:n]
    np.testing.assert_array_equal(best_columns(scores, n, floor), expected)


def test_minus_infinity_is_never_taken():
    assert best_columns(np.array([-np.inf, 1, -np.inf], np.float32), 3).tolist() == [1]
