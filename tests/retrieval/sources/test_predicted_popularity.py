"""What texts say of items that nobody has met, worked out by hand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.errors import InputError
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.predicted_popularity import PredictedPopularity

ITEMS = pl.DataFrame({"item_id": list("abcd"), "category": ["Old", "Old", "New", "New"]})
WHITE = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
NEW = np.array([2, 3], np.int32)


def visible_of(log: list[tuple[str, str]], opening=NEW) -> Visible:
    dataset = build_dataset(ITEMS, pl.DataFrame(log, schema=["user_id", "item_id"], orient="row"))
    return Visible(dataset.catalogue, dataset.histories, WHITE, 9, white=WHITE, opening=opening)


MET = [("u", "a"), ("v", "a"), ("w", "a"), ("u", "b")]


def test_what_reads_like_the_popular_is_expected_to_be():
    # a has 3 users, b one, 2 on average: log(3.5 / 2.5) and log(1.5 / 2.5), centred ± .42365. The Gram matrix is the
    # identity and so is the penalty: w is half of them.
    half = (np.log(3.5 / 2.5) - np.log(1.5 / 2.5)) / 4
    scores = PredictedPopularity().fit(visible_of(MET)).scores
    np.testing.assert_allclose(scores, [0, 0, np.exp(half), np.exp(-half)], rtol=1e-5)


def test_nothing_of_the_opening_is_read():
    first = PredictedPopularity().fit(visible_of(MET)).scores
    again = PredictedPopularity().fit(visible_of([*MET, *((f"x{k}", "d") for k in range(50))])).scores
    np.testing.assert_array_equal(first, again)


def test_without_an_opening_all_have_scores():
    assert (PredictedPopularity().fit(visible_of(MET, opening=None)).scores > 0).all()
    with pytest.raises(InputError, match="text vectors"):
        PredictedPopularity().fit(replace(visible_of(MET), vectors=None, white=None))
