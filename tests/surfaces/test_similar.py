from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_catalogue
from kuapin.data.histories import Histories, empty_histories
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.content import Content, ContentConfig
from kuapin.surfaces.similar import SimilarItems, shared_words

ROWS = [
    ("a", "Rose soap", "Beauty > Soap", "Ada"),
    ("b", "Rose soap", "Beauty > Soap", "Bea"),  # the same text as a, but for the brand
    ("c", "Rose soap", "Beauty > Soap", "Ada"),
    ("d", "Rose candle", "Home > Candles", "Lux"),
    ("e", "Oak table", "Home > Tables", None),
]


@pytest.fixture
def similar() -> SimilarItems:
    frame = pl.DataFrame(ROWS, schema=["item_id", "title", "category", "brand"], orient="row")
    angle = np.radians([0, 0, 0, 40, 120])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    catalogue = build_catalogue(frame)
    content = Content(ContentConfig(centred=False))
    content.fit(Visible(catalogue, empty_histories(0, 5, timed=True), vectors, 0))
    return SimilarItems(content, catalogue)


def test_nearest_first_and_of_one_text_the_same_brand_first(similar):
    found = similar.similar(0, 4, np.ones(5, np.bool_), explain=True)
    assert found.items.tolist() == [2, 1, 3, 4]
    assert found.scores == pytest.approx([1.0, 1.0, np.cos(np.radians(40)), np.cos(np.radians(120))], abs=1e-6)
    assert found.reasons.codes == ["same_brand_and_category", "same_category", "same_words", "similar"]
    assert found.reasons.texts == [
        "Also by Ada, also in Beauty > Soap",
        "Also in Beauty > Soap",
        "Both say rose",
        "Reads alike",
    ]


@pytest.mark.parametrize("n", [1, 2, 9])
def test_what_may_not_be_shown_makes_room_for_the_next(similar, n):
    mask = np.array([True, False, False, True, True])
    found = similar.similar(0, n, mask)
    assert found.items.tolist() == [3, 4][:n]
    assert found.reasons is None


def test_of_near_texts_what_the_same_people_met_comes_first():
    """Ten items of nearly one text; those that people met with the first one come before nearer ones, the cold stay."""
    frame = pl.DataFrame({"item_id": list("abcdefghij"), "category": ["A", "B", "A", *"BBBBBBB"]})
    angle = np.radians(np.arange(10))
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    catalogue = build_catalogue(frame)
    pair = np.tile([0, 5], 10).astype(np.int32)
    met = Histories(np.arange(0, 21, 2), pair, np.arange(20), np.zeros(20, np.uint8), 10, True)
    visible = Visible(catalogue, met, vectors, 0)
    content = Content(ContentConfig(centred=False)).fit(visible)
    ours, mask = SimilarItems(content, catalogue, met), np.ones(10, np.bool_)
    found = ours.similar(0, 4, mask, explain=True)
    assert found.items.tolist() == [5, 2, 1, 3]  # met together, of the same category, by their texts
    assert found.reasons.codes[:2] == ["same_people", "same_category"]
    assert found.scores[0] == pytest.approx(np.cos(np.radians(5)) + 10 / 15, abs=1e-5)
    texts = SimilarItems(content, catalogue)
    assert ours.similar(7, 9, mask).items.tolist() == texts.similar(7, 9, mask).items.tolist()  # nobody met it
    assert ours.similar(0, 9, mask).items[:4].tolist() == found.items.tolist()


@pytest.mark.parametrize(("people", "first"), [(1, 1), (2, 1), (3, 5)])
def test_what_fewer_than_three_people_met_together_is_not_told(people, first):
    """Else one person's history could be read, item by item, in the answers to anybody."""
    angle = np.radians(np.arange(10))
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    catalogue = build_catalogue(pl.DataFrame({"item_id": list("abcdefghij"), "category": list("ABCDEFGHIJ")}))
    others = np.zeros(5, np.int32)  # the item itself is well known
    items = np.concatenate([np.tile(np.array([0, 5], np.int32), people), others])
    ends = np.concatenate([np.arange(0, 2 * people + 1, 2), 2 * people + 1 + np.arange(5)])
    met = Histories(ends, items, np.arange(len(items)), np.zeros(len(items), np.uint8), 10, True)
    content = Content(ContentConfig(centred=False)).fit(Visible(catalogue, met, vectors, 0))
    found = SimilarItems(content, catalogue, met).similar(0, 9, np.ones(10, np.bool_), explain=True)
    assert found.items[0] == first
    assert ("same_people" in found.reasons.codes) == (people >= 3)


def test_what_people_say_does_not_reach_beyond_the_nearest_texts(monkeypatch):
    monkeypatch.setattr("kuapin.surfaces.similar.POOL", 3)
    angle = np.radians(np.arange(10))
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    catalogue = build_catalogue(pl.DataFrame({"item_id": list("abcdefghij"), "category": list("ABCDEFGHIJ")}))
    pair = np.tile([0, 5, 0, 3], 3).astype(np.int32)
    met = Histories(np.arange(0, 13, 2), pair, np.arange(12), np.zeros(12, np.uint8), 10, True)
    visible = Visible(catalogue, met, vectors, 0)
    content = Content(ContentConfig(centred=False)).fit(visible)
    found = SimilarItems(content, catalogue, met).similar(0, 6, np.ones(10, np.bool_))
    assert found.items.tolist() == [3, 1, 2, 4, 5, 6]


def test_items_without_brand_share_none(similar):
    without = replace(similar, catalogue=replace(similar.catalogue, brand=np.array([0, 1, 0, -1, -1], np.int32)))
    assert without.similar(4, 1, np.array([0, 0, 0, 1, 0], np.bool_), explain=True).reasons.codes == ["similar"]


def test_shared_words_are_the_longest_in_the_order_of_the_first():
    assert shared_words("Red oak table for the garden", "The garden table, red and white") == ["red", "table", "garden"]
    assert shared_words("Soap", "Oak") == []
    assert shared_words("玫瑰香皂", "玫瑰面霜") == ["玫瑰"]
