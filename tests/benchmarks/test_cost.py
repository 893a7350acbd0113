"""The made-up logs of the cost benchmark, and the slope, by hand."""

import numpy as np
import pytest

pytest.importorskip("torch")
from benchmarks.cost import made_up, slope


def test_the_slope_is_the_power():
    sizes = (10, 100, 1000)
    assert slope(sizes, [3.0, 30.0, 300.0]) == pytest.approx(1)
    assert slope(sizes, [5.0, 5.0, 5.0]) == pytest.approx(0)
    assert slope(sizes, [float(size**2) for size in sizes]) == pytest.approx(2)


def test_a_made_up_log_is_what_the_seed_says():
    log, text, categories = made_up(100, 20_000, 3)
    assert (len(log), len(log.items), log.n_items) == (2_000, 20_000, 100)
    assert np.array_equal(log.items, made_up(100, 20_000, 3)[0].items)
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, rtol=1e-5)
    assert set(categories) == set(range(20))
    often = np.sort(np.bincount(log.items))[::-1]
    assert often[0] / often[9] == pytest.approx(10, rel=0.2)  # 1 / rank
