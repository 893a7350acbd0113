"""The sources that read texts and groups, on cases worked out by hand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_dataset
from kuapin.errors import InputError
from kuapin.retrieval import waves
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources import item_knn, lexical
from kuapin.retrieval.sources.adapted import Adapted, AdaptedConfig
from kuapin.retrieval.sources.affinity import AffinityConfig, BrandAffinity, LeafAffinity
from kuapin.retrieval.sources.brand import Brand, Leaf
from kuapin.retrieval.sources.lexical import Lexical, LexicalConfig, tf_idf, words
from kuapin.retrieval.sources.segments import Segments, SegmentsConfig
from kuapin.retrieval.sources.text_popularity import TextPopularity, TextPopularityConfig
from kuapin.retrieval.whitening import whiten

ITEMS = pl.DataFrame(
    {
        "item_id": list("abcdef"),
        "brand": ["Ada", "Ada", "Bo", "Bo", None, "Ada"],
        "category": ["Old > x", "Old > x", "Old > y", "New > z", "New > z", "New > w"],
    }
)


def visible_of(log: list[tuple[str, str]], vectors=None, texts=None) -> tuple[Visible, object]:
    dataset = build_dataset(ITEMS, pl.DataFrame(log, schema=["user_id", "item_id"], orient="row"))
    return Visible(dataset.catalogue, dataset.histories, vectors, len(log), texts), dataset


def test_words_of_two_scripts():
    found = words(pl.Series(["Gel-Pen 0.7", "毛笔套", None]))
    assert sorted(found.filter(pl.col("row") == 0)["word"].to_list()) == ["0", "7", "gel", "pen"]
    assert sorted(found.filter(pl.col("row") == 1)["word"].to_list()) == ["套", "毛笔", "笔套"]


def test_tf_idf_by_hand():
    matrix = tf_idf(pl.Series(["pen pen ink", "pen", "ink", "yarn"]), min_items=2, max_share=1.0).toarray()
    idf = np.log(5 / 3) + 1  # both words are in two of four texts
    ink, pen = idf, (1 + np.log(2)) * idf
    np.testing.assert_allclose(matrix[0], np.array([ink, pen]) / np.hypot(ink, pen), rtol=1e-6)
    np.testing.assert_allclose(matrix[3], 0)


def test_lexical_prefers_the_shared_rare_word():
    texts = pl.Series(["sakura gelly pen", "red pen", "sakura brush", "gelly roll", "yarn", "pen"])
    visible, dataset = visible_of([("u", "a")], texts=texts)
    scores = Lexical(LexicalConfig(max_share=1.0)).fit(visible).score(dataset.histories)[0]
    assert scores[4] == 0.0
    assert scores[2] > scores[1] > 0  # "sakura" is in two texts, "pen" in three
    with pytest.raises(InputError, match="texts"):
        Lexical().fit(visible_of([("u", "a")])[0])


def test_leaf_counts_distinct_items_of_three_purchases():
    visible, dataset = visible_of([("u", "a"), ("u", "b"), ("u", "d")])
    scores = Leaf().fit(visible).score(dataset.histories)[0]
    np.testing.assert_allclose(scores, np.log([3, 3, 1, 2, 2, 1]), rtol=1e-6)


def test_brand_counts_distinct_items():
    visible, dataset = visible_of([("u", "a"), ("u", "a"), ("u", "b"), ("u", "c")])
    scores = Brand().fit(visible).score(dataset.histories)[0]
    np.testing.assert_allclose(scores, np.log1p([2, 2, 1, 1, 0, 2]), rtol=1e-6)


def test_affinity_keeps_the_pairs_farthest_from_chance_whatever_the_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    log = [
        (f"u{user}", "abcdef"[item])
        for user in range(30)
        for item in rng.choice(6, 2, p=[0.3, 0.3, 0.1, 0.1, 0.1, 0.1])
    ]
    visible, _ = visible_of(log)
    whole = LeafAffinity().fit(visible).lift.toarray()
    assert (whole != 0).sum() > 6
    monkeypatch.setattr(item_knn, "BLOCK_PAIRS", 4)
    np.testing.assert_array_equal(LeafAffinity().fit(visible).lift.toarray(), whole)
    cut = LeafAffinity(AffinityConfig(max_pairs=6)).fit(visible).lift.toarray()
    assert (cut != 0).sum() == 5  # of the sixth pair the mirror has no room
    np.testing.assert_array_equal(cut, cut.T)
    kept = cut != 0
    np.testing.assert_array_equal(cut[kept], whole[kept])
    assert np.abs(whole[kept]).min() >= np.abs(whole[~kept]).max()
    assert whole[kept].min() < 0 < whole[kept].max()


def test_affinity_by_hand():
    log = [("u", "a"), ("u", "d"), ("v", "a"), ("v", "d"), ("w", "c"), ("w", "f")]
    visible, dataset = visible_of(log)
    source = LeafAffinity(AffinityConfig(shrinkage=1.0)).fit(visible)
    query = dataset.histories.keep(np.array([True, False, False, False, False, False])).select(np.array([0]))
    scores = source.score(query)[0]
    # x and z: 2 users met both, 2 · 2 / 3 are expected; x with itself: 2 seen, 4 / 3 expected; x and w: never.
    expected = np.log((2 + 1) / (4 / 3 + 1))
    np.testing.assert_allclose(scores, [expected, expected, 0, expected, expected, 0], rtol=1e-5, atol=1e-6)
    brand = BrandAffinity(AffinityConfig(shrinkage=1.0)).fit(visible).score(query)[0]
    assert brand[4] == 0.0  # no brand


def test_text_popularity_stays_in_its_category():
    vectors = np.eye(6, dtype=np.float32)
    vectors[1] = [0.96, 0.28, 0, 0, 0, 0]
    log = [(f"u{n}", "a") for n in range(9)]
    visible, _ = visible_of(log, vectors=vectors)
    scores = TextPopularity(TextPopularityConfig(neighbours=1)).fit(visible).scores
    np.testing.assert_allclose(scores[3:], 0)  # nothing of the new category was met
    np.testing.assert_allclose(scores[:3], np.log1p([3, 0, 0]), rtol=1e-5)  # alone: its own 9 users, the mean is 3
    spread = TextPopularity(TextPopularityConfig(neighbours=3)).fit(visible).scores
    assert spread[0] > spread[1] > spread[2] > 0  # b reads like a, c does not
    opening = replace(visible, opening=np.arange(3, 6, dtype=np.int32))
    assert not TextPopularity().fit(opening).scores.any()  # nothing else is ranked where a category opens


def test_segments_tell_tastes_apart():
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(2, 4, dtype=np.float32), 3, axis=0) + 0.01 * rng.normal(size=(6, 4)).astype(np.float32)
    log = [(f"p{n}", item) for n in range(30) for item in "ab"] + [(f"q{n}", item) for n in range(30) for item in "de"]
    visible, dataset = visible_of(log, vectors=vectors)
    source = Segments(SegmentsConfig(segments=2, users_per_segment=10)).fit(visible)
    p, q = (dataset.histories.select(np.array([dataset.users.row(user)])) for user in ("p0", "q0"))
    assert source.score(p)[0, 0] > source.score(q)[0, 0]
    assert source.score(q)[0, 3] > source.score(p)[0, 3]
    assert not any(len(array) == len(dataset.users) for array in source.arrays().values())  # nothing a user


def test_adapted_counts_rare_items_of_a_history_more():
    """a was met by four users and b by one: weights 5^-1 and 2^-1, to mean 1 over the history (4 / 7 and 10 / 7)."""
    vectors = np.eye(6, 8, dtype=np.float32)
    log = [("u", "a"), ("u", "b"), ("v", "a"), ("w", "a"), ("x", "a")]
    visible, dataset = visible_of(log, vectors)
    source = Adapted(AdaptedConfig(rarity=1.0, power=0.0, temperature=1.0)).fit(visible)
    np.testing.assert_allclose(source._counts(dataset.histories)[:2], [4 / 7, 10 / 7], rtol=1e-6)
    u = dataset.histories.select(np.array([0]))
    by_hand = np.log(np.array([4 / 7, 10 / 7]) @ np.exp(source.vectors[source.text_of[:2]] @ source.vectors.T))
    np.testing.assert_allclose(source.score(u)[0], by_hand[source.text_of], rtol=1e-5)
    again = Adapted(AdaptedConfig(rarity=1.0, power=0.0, temperature=1.0)).restore(source.arrays())
    np.testing.assert_array_equal(again.score(u), source.score(u))


def test_adapted_brings_together_what_is_met_together():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    log = [(f"u{n}", item) for n in range(40) for item in ("ad" if n % 2 else "be")]
    visible, _ = visible_of(log, vectors=vectors)
    white = whiten(vectors)
    bent = Adapted(AdaptedConfig(power=1.0)).fit(visible)
    unbent = Adapted(AdaptedConfig(power=0.0)).fit(visible)
    a, d = bent.text_of[0], bent.text_of[3]
    assert bent.vectors[a] @ bent.vectors[d] > white[0] @ white[3] + 0.1
    np.testing.assert_allclose(unbent.vectors[a] @ unbent.vectors[d], white[0] @ white[3], atol=1e-4)


def test_whitened_directions_are_alike():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(4000, 3)) * [10, 1, 1]).astype(np.float32)
    white = whiten(vectors, 0.01)
    spread = white.std(axis=0)
    assert spread.max() / spread.min() < 1.2
    np.testing.assert_allclose(np.linalg.norm(white, axis=1), 1, rtol=1e-5)


def test_the_waves_and_tiles_of_lexical_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    ids = [f"i{k}" for k in range(40)]
    texts = pl.Series([" ".join(rng.choice(["ink", "pen", "gel", "wool", "oak", "tin"], 3)) for _ in ids])
    log = [(f"u{user}", ids[k]) for user in range(50) for k in rng.choice(40, 6)]
    dataset = build_dataset(
        pl.DataFrame({"item_id": ids}), pl.DataFrame(log, schema=["user_id", "item_id"], orient="row")
    )
    visible = Visible(dataset.catalogue, dataset.histories, None, 0, texts)
    source = Lexical(LexicalConfig(max_share=1.0, temperature=1)).fit(visible)
    whole = source.top(dataset.histories, 7)
    assert np.diff(whole.indptr).tolist() == [7] * 50
    for module, name in (
        (waves, "LEAST_WAVE"),
        (waves, "WAVE_BYTES"),
        (lexical, "READ_TILE"),
        (lexical, "KERNEL_CELLS"),
    ):
        monkeypatch.setattr(module, name, 9)
    monkeypatch.setattr(lexical, "MOST_USERS", 20)
    cut = source.top(dataset.histories, 7)
    np.testing.assert_allclose(cut.scores, whole.scores, rtol=1e-5)
    scores = source.score(dataset.histories)
    np.testing.assert_allclose(scores[np.repeat(np.arange(50), 7), cut.items], whole.scores, rtol=1e-5)
