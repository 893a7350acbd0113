import numpy as np
import polars as pl
import pytest

from kuapin.data.brand_level import brand_catalogue, brand_histories, brand_vectors
from kuapin.data.dataset import build_catalogue
from kuapin.data.histories import from_interactions

ROWS = [
    ("a", "Beauty > Soap", "Ada", 2.0, True),
    ("b", "Beauty > Soap", "Ada", 4.0, False),
    ("c", "Home > Lamps", "Ada", 9.0, False),
    ("d", "Home > Lamps", "Bo", None, False),
    ("e", "Home > Lamps", None, 1.0, True),
]


@pytest.fixture
def catalogue():
    return build_catalogue(
        pl.DataFrame(ROWS, schema=["item_id", "category", "brand", "price", "available"], orient="row")
    )


def test_a_brand_is_what_its_items_are(catalogue):
    brands = brand_catalogue(catalogue)
    assert brands.items.ids.to_list() == ["Ada", "Bo"]
    assert [brands.leaves[leaf] for leaf in brands.leaf] == ["Beauty > Soap", "Home > Lamps"]
    assert brands.price[0] == 4.0
    assert np.isnan(brands.price[1])
    assert brands.available.tolist() == [True, False]
    assert brands.frame["text"].to_list() == ["Ada, Beauty > Soap, Home > Lamps", "Bo, Home > Lamps"]


def test_histories_are_read_in_brands_and_what_has_none_is_passed_over(catalogue):
    items = np.array([4, 0, 3, 1])
    zeros = np.zeros(4, np.uint8)
    histories = from_interactions(np.zeros(4, int), items, np.arange(4), zeros, n_users=2, n_items=5, timed=True)
    coarse = brand_histories(histories, catalogue.brand, 2)
    assert coarse.of(0).tolist() == [0, 1, 0]
    assert coarse.of(1).tolist() == []
    assert coarse.times.tolist() == [1, 2, 3]


def test_a_brands_vector_is_the_mean_of_its_items(catalogue):
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
    assert brand_vectors(vectors, catalogue.brand, 2) == pytest.approx(np.array([[2, 1], [0, np.sqrt(5)]]) / np.sqrt(5))


def test_a_shop_without_brands_has_no_brand_level():
    catalogue = build_catalogue(pl.DataFrame({"item_id": ["a"]}))
    assert len(brand_catalogue(catalogue)) == 0
