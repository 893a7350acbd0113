"""The knowledge graph and the walk through it, by hand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_catalogue
from kuapin.retrieval.knowledge import Knowledge
from kuapin.retrieval.source import NewItems, Visible
from kuapin.retrieval.sources.graph import Graph, GraphConfig
from tests.retrieval.conftest import histories_of

ITEMS = pl.DataFrame(
    {
        "item_id": list("abcdefghij"),
        "brand": ["Ada", "Ada", None, None, None, None, None, None, None, None],
        "category": [f"C > {k}" for k in "0123456789"],
        "socket": ["E27", None, "E27", None, None, None, None, None, None, None],
    }
)
RELATIONS = pl.DataFrame(
    [("a", "compatible_with", "d"), ("e", "part_of", "a set"), ("f", "part_of", "a set"), ("x", "part_of", "y")],
    schema=["head", "relation", "tail"],
    orient="row",
)


@pytest.fixture
def catalogue():
    return replace(build_catalogue(ITEMS), relations=RELATIONS)


def walked(catalogue, *users, **config):
    visible = Visible(catalogue, histories_of(n_items=10), None, 0)
    return Graph(GraphConfig(**config)).fit(visible).score(histories_of(*users, n_items=10))


def test_one_step_by_hand(catalogue):
    # a has a brand, a shelf, a socket and a link, each followed a quarter of the times; back from brand and socket to
    # either of two items, from the shelf to a alone, over the link to d. Times (1 - .5) · .5 · 10 items.
    found = walked(catalogue, "a", "e", "", restart=0.5, steps=1)
    expected = np.zeros((3, 10))
    expected[0, :4] = 2.5 * np.array([1 / 8 + 1 / 8 + 1 / 4, 1 / 8, 1 / 8, 1 / 4])
    expected[1, 4:6] = 2.5 * np.array([1 / 2 + 1 / 4, 1 / 4])  # a shelf of its own, and the set
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_second_step_goes_on_from_the_first(catalogue):
    one, two = (walked(catalogue, "d", restart=0.5, steps=steps)[0] for steps in (1, 2))
    assert one[1] == 0
    assert two[1] == pytest.approx(0.5 * 0.25 * 10 * 0.5 * 1 / 8)  # d → a over the link (1 of 2 ways), a → b by brand


def test_paths_say_the_relation_first_and_then_what_is_shared(catalogue):
    knowledge = Knowledge.of(catalogue)
    assert knowledge.path(0, 3) == knowledge.path(3, 0) == ("compatible_with", None)
    assert knowledge.path(0, 1) == ("brand", "Ada")
    assert knowledge.path(0, 2) == ("socket", "E27")
    assert knowledge.path(4, 5) == ("part_of", "a set")
    assert knowledge.path(1, 2) is None


def test_restored_it_knows_the_same(catalogue):
    fitted = Graph(GraphConfig(steps=2)).fit(Visible(catalogue, histories_of(n_items=10), None, 0))
    again = Graph().restore(fitted.arrays())
    histories = histories_of("ae", "d", n_items=10)
    np.testing.assert_array_equal(again.score(histories), fitted.score(histories))
    assert again.knowledge.path(0, 2) == ("socket", "E27")


def test_an_item_that_comes_later_is_known_by_its_brand(catalogue):
    fitted = Graph().fit(Visible(catalogue, histories_of(n_items=10), None, 0))
    more = pl.DataFrame({"item_id": ["new"], "brand": ["Ada"], "category": ["D"]})
    whole, rows = catalogue.with_items(more)
    none = np.zeros(1, np.float32)
    grown = fitted.with_items(NewItems(rows, whole, None, none, np.full((1, 1), -1, np.int32)))
    found = grown.score(histories_of("b", n_items=11))[0]
    assert found[10] > 0
    assert fitted.score(histories_of("b", n_items=10)).shape == (1, 10)


def test_what_most_items_share_says_nothing():
    crowd = pl.DataFrame({"item_id": [f"i{k}" for k in range(40)], "colour": ["red"] * 20 + ["blue"] * 3 + [None] * 17})
    assert Knowledge.of(build_catalogue(crowd)).entities["colour"].names == ("blue",)
