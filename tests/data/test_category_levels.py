import numpy as np
import polars as pl
import pytest

from kuapin.data.category_levels import LEAST_ITEMS, several_categories
from kuapin.data.dataset import build_catalogue


def catalogue_of(**counts):
    paths = [path for path, count in counts.items() for _ in range(count)]
    return build_catalogue(pl.DataFrame({"item_id": [f"i{k}" for k in range(len(paths))], "category": paths}))


def partition(codes):
    return sorted(np.bincount(codes)[np.unique(codes)].tolist())


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"A > x": 12, "B > y": 11, "B > z": 10}, [12, 21]),  # the top level has several
        ({"A > x > 1": 12, "A > x > 2": 3, "A > y > 1": 11}, [11, 15]),
        ({"A > x > 1": 12, "A > x > 2": 30, "A > y": 9, "B": 1}, [1, 9, 12, 30]),  # too few in others before
        ({"A>x": 12, "A > y": 10, "A": 1}, [1, 10, 12]),
    ],
)
def test_the_first_level_that_has_several(counts, expected):
    assert partition(several_categories(catalogue_of(**counts))) == expected


def test_where_the_top_level_has_several_it_is_the_category_as_it_is():
    catalogue = catalogue_of(**{"B > y": LEAST_ITEMS, "A > x": LEAST_ITEMS})
    assert several_categories(catalogue) is catalogue.category


@pytest.mark.parametrize("counts", [{"A": 100}, {"A > x": 100, "A > y": 9}, {}])
def test_nowhere_several(counts):
    assert several_categories(catalogue_of(**counts) if counts else catalogue_of(A=1)) is None
