import numpy as np
import polars as pl

from kuapin.data.dataset import build_catalogue
from kuapin.retrieval.opening_groups import CLUSTERS, opening_groups


def catalogue_of(*paths):
    return build_catalogue(pl.DataFrame({"item_id": [f"i{k}" for k in range(len(paths))], "category": paths}))


def texts_of(topics):
    """Vectors that lie around the topic of each item."""
    rng = np.random.default_rng(0)
    return (10 * np.eye(CLUSTERS, 16)[topics] + 0.1 * rng.standard_normal((len(topics), 16))).astype(np.float32)


def test_categories_where_a_level_has_several_else_what_texts_say():
    topics = np.arange(CLUSTERS * 12) % CLUSTERS
    white = texts_of(topics)
    deep = catalogue_of(*(f"A > {'xy'[k % 2]}" for k in range(len(topics))))
    assert np.array_equal(opening_groups(deep, white), deep.leaf)
    flat = catalogue_of(*["A"] * len(topics))
    found = opening_groups(flat, white)
    assert found.dtype == np.int32
    for topic in range(CLUSTERS):  # what reads alike opens together
        assert len(np.unique(found[topics == topic])) == 1
    assert 4 <= len(np.unique(found)) <= CLUSTERS
    assert np.array_equal(found, opening_groups(flat, white))


def test_a_shop_without_categories_and_texts_is_one_group():
    flat = catalogue_of(*["A"] * 200)
    assert not opening_groups(flat, None).any()
    assert not opening_groups(catalogue_of("A", "A"), np.eye(2, dtype=np.float32)).any()
