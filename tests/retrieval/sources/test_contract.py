"""What every source promises: `score` is the reference, the faster ways agree, restored it scores the same."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuapin.data.dataset import build_catalogue
from kuapin.data.histories import Histories, from_interactions
from kuapin.retrieval.source import Source, Visible, top_of_dense
from kuapin.retrieval.sources import SOURCES
from kuapin.retrieval.sources.als import Als, AlsConfig
from kuapin.retrieval.sources.content import Content, ContentConfig
from kuapin.retrieval.sources.ease import Ease, EaseConfig
from kuapin.retrieval.sources.item_knn import ItemKnn, ItemKnnConfig
from kuapin.retrieval.sources.ridge import Ridge, RidgeConfig

VARIANTS = {
    **{name: source for name, source in SOURCES.items() if name not in ("als", "ease", "ridge", "sequence")},
    "als": lambda: Als(AlsConfig(embedding_size=4, epochs=2)),
    "ease": lambda: Ease(EaseConfig(max_items=5)),
    "ridge": lambda: Ridge(RidgeConfig(embedding_size=3, l2=1.0)),
    "content max": lambda: Content(ContentConfig(pooling="max")),
    "content mean": lambda: Content(ContentConfig(pooling="mean", max_history=None)),
    "content short": lambda: Content(ContentConfig(max_history=2, centred=False)),
    "item_knn short": lambda: ItemKnn(ItemKnnConfig(neighbours=2)),
    "item_knn cut": lambda: ItemKnn(ItemKnnConfig(max_pairs=9, shrinkage=0)),
}


def histories_of(rows: list[tuple[int, int, int]], n_users: int, n_items: int, *, timed: bool = True) -> Histories:
    users, items, days = np.array(rows, np.int64).reshape(-1, 3).T
    events = np.zeros(len(users), np.uint8)
    return from_interactions(users, items, days * 86_400, events, n_users=n_users, n_items=n_items, timed=timed)


@st.composite
def shops(draw: st.DrawFn) -> tuple[Visible, Histories]:
    """A small shop whose texts repeat, and histories of other users, some empty."""
    n_items = draw(st.integers(2, 12))
    interaction = st.tuples(st.integers(0, 5), st.integers(0, n_items - 1), st.integers(0, 60))
    learnt = draw(st.lists(interaction, min_size=1, max_size=40))
    asked = draw(st.lists(interaction, max_size=30))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    texts = rng.normal(size=(n_items, 5)).astype(np.float32)
    vectors = texts[rng.integers(0, draw(st.integers(1, n_items)), n_items)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = np.array(["red yarn", "blue yarn", "gel pen 0.7", "ink pen", "毛笔套装", ""])
    titles = words[rng.integers(0, len(words), n_items)].tolist()
    brands = rng.choice(["Ada", "Bo", None], n_items).tolist()
    paths = rng.choice(["A > x", "A > y", "B > z"], n_items).tolist()
    table = {"item_id": [f"i{i}" for i in range(n_items)], "title": titles, "brand": brands, "category": paths}
    catalogue = build_catalogue(pl.DataFrame(table))
    visible = Visible(catalogue, histories_of(learnt, 6, n_items), vectors, 60 * 86_400, pl.Series(titles))
    return visible, histories_of(asked, 6, n_items)


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())
class TestContract:
    @settings(max_examples=25, deadline=None)
    @given(shop=shops(), data=st.data())
    def test_faster_ways_agree_with_score(self, make, shop, data):
        visible, histories = shop
        n_items = histories.n_items
        source: Source = make().fit(visible)
        scores = source.score(histories)
        assert scores.shape == (6, n_items)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

        wanted = np.array(sorted(data.draw(st.sets(st.integers(0, n_items - 1), min_size=1))))
        some = source.score(histories, wanted)
        np.testing.assert_allclose(some, scores[:, wanted], rtol=1e-4, atol=1e-5)

        lists = [data.draw(st.lists(st.integers(0, n_items - 1), max_size=6, unique=True)) for _ in range(6)]
        indptr = np.cumsum([0, *map(len, lists)])
        pairs = source.pairs(histories, indptr, np.array([item for items in lists for item in items], np.int32))
        expected = [scores[user, item] for user, items in enumerate(lists) for item in items]
        assert pairs.dtype == np.float32
        np.testing.assert_allclose(pairs, expected, rtol=1e-4, atol=1e-5)

        for items in (None, wanted):
            self.check_top(source, histories, scores, data.draw(st.integers(1, 14)), items)

    def check_top(self, source, histories, scores, n, items):
        rows = np.arange(scores.shape[1]) if items is None else items
        top = source.top(histories, n, items)
        best = top_of_dense(np.ascontiguousarray(scores[:, rows]), rows, n)
        assert top.items.dtype == np.int32
        for user in range(len(histories)):
            part = slice(top.indptr[user], top.indptr[user + 1])
            mine, expected = top.items[part], best.scores[best.indptr[user] : best.indptr[user + 1]]
            assert len(set(mine.tolist())) == len(mine)
            assert set(mine.tolist()) <= set(rows.tolist())
            np.testing.assert_allclose(top.scores[part], scores[user, mine], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(top.scores[part], expected[: len(mine)], rtol=1e-4, atol=1e-5)
            # What is left out got nothing: it scores at most the source's floor.
            assert (expected[len(mine) :] <= getattr(source, "floor", 0.0) + 1e-5).all()

    @settings(max_examples=10, deadline=None)
    @given(shop=shops())
    def test_restored_scores_the_same(self, make, shop):
        visible, histories = shop
        source = make().fit(visible)
        arrays = source.arrays()
        restored = make().restore({name: np.array(array) for name, array in arrays.items()})
        np.testing.assert_array_equal(restored.score(histories), source.score(histories))

    def test_an_empty_log_and_no_user(self, make):
        catalogue = build_catalogue(pl.DataFrame({"item_id": ["a", "b", "c"]}))
        empty = histories_of([], 0, 3)
        visible = Visible(catalogue, empty, np.eye(3, 4, dtype=np.float32), 0, pl.Series(["x", "", "y x"]))
        source = make().fit(visible)
        assert source.score(empty).shape == (0, 3)
        assert len(source.top(empty, 2).items) == 0
        nobody = histories_of([], 2, 3)
        assert source.score(nobody).shape == (2, 3)
        assert source.top(nobody, 2).indptr.shape == (3,)
