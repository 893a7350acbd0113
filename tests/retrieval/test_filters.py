import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuapin.data.dataset import build_catalogue
from kuapin.errors import UnknownIdError
from kuapin.retrieval.filters import Filter
from kuapin.retrieval.index import ExactIndex, HnswConfig, HnswIndex

CATALOGUE = build_catalogue(
    pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d", "e"],
            "category": ["Home > Bed", "Home > Bed > Linen", "Home > Bedroom", "Tools", None],
            "brand": ["Oak", "Elm", None, "Oak", "Elm"],
            "price": [10.0, 20.0, None, 20.5, 5.0],
            "available": [True, None, True, False, True],
        }
    )
)


@pytest.mark.parametrize(
    ("conditions", "passing"),
    [
        ({}, "abce"),
        ({"available": False}, "abcde"),
        ({"categories": ("Home",)}, "abc"),
        ({"categories": ("Home", "(none)")}, "abce"),
        ({"leaves": ("Home > Bed",)}, "ab"),  # not Bedroom: a path is a step, not a prefix of letters
        ({"leaves": ("Home",)}, "abc"),
        ({"brands": ("Oak",), "available": False}, "ad"),
        ({"price_min": 10, "price_max": 20}, "ab"),
        ({"price_max": 20}, "abe"),
        ({"deny": ("a", "never heard of")}, "bce"),
        ({"categories": ("Home",), "brands": ("Elm",), "deny": ("b",)}, ""),
        ({"categories": ()}, ""),
    ],
)
def test_conditions_by_hand(conditions, passing):
    mask = Filter(**conditions).mask(CATALOGUE)
    assert mask.dtype == np.bool_
    assert "".join(CATALOGUE.items.ids.filter(pl.Series(mask))) == passing


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"categories": ("Garden",)}, "category 'Garden'"),
        ({"brands": ("Ash",)}, "brand 'Ash'"),
        ({"leaves": ("Home > Be",)}, "is in 'Home > Be'. Did you mean Home > B"),
    ],
)
def test_unknown_names_are_refused(conditions, message):
    with pytest.raises(UnknownIdError, match=message):
        Filter(**conditions).mask(CATALOGUE)


def test_prices_the_wrong_way_round_are_refused():
    with pytest.raises(ValueError, match=r"price_min is 5.0, above price_max 4.0"):
        Filter(price_min=5, price_max=4)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_filter_never_shortens_a_list(data):
    """However few items pass, and wherever they lie, n are found when n exist, and none that does not pass."""
    size = data.draw(st.integers(1, 400))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    vectors = rng.normal(size=(size, 8)).astype(np.float32)
    query = vectors[:2] + 0.1
    # The allowed items are the furthest from the first query, where over-fetching finds them last.
    allowed = data.draw(st.integers(0, size))
    mask = np.zeros(size, bool)
    mask[np.argsort(vectors @ query[0], kind="stable")[:allowed]] = True
    n = data.draw(st.integers(1, 12))
    for index in (ExactIndex(vectors), HnswIndex(vectors, HnswConfig(connectivity=4, expansion_add=8))):
        rows, scores = index.search(query, n, mask)
        assert rows.shape == scores.shape == (len(query), n)
        found = np.isfinite(scores)
        assert (found.sum(axis=1) == min(n, allowed)).all()
        assert mask[rows[found]].all()
        assert (rows[~found] == -1).all()
        for row in rows:
            assert len(set(row[row >= 0])) == (row >= 0).sum()
