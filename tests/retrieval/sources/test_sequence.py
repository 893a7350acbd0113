"""The user model as a source."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_catalogue
from kuapin.data.histories import empty_histories, from_interactions
from kuapin.retrieval.source import NewItems, Visible, top_of_dense
from kuapin.retrieval.sources.sequence import Sequence
from kuapin.sequence.run import Run
from kuapin.sequence.settings import SequenceConfig

ITEMS, USERS = 24, 60
CONFIG = SequenceConfig(
    embedding_size=8, layers=1, max_history=4, dropout=0.0, batch_size=16, epochs=8, validation_users=20, more=0.5,
    learning_rate=0.02,
)  # fmt: skip


@pytest.fixture(scope="module")
def visible():
    """Whoever met item i met i + 1 next."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, ITEMS, USERS)
    users, steps = np.repeat(np.arange(USERS), 6), np.tile(np.arange(6), USERS)
    items = (np.repeat(first, 6) + steps) % ITEMS
    log = from_interactions(
        users, items, steps * 3600 + 1_000_000, np.zeros(len(users), np.uint8), n_users=USERS, n_items=ITEMS, timed=True
    )
    catalogue = build_catalogue(pl.DataFrame({"item_id": [f"i{k}" for k in range(ITEMS)], "category": ["A"] * ITEMS}))
    vectors = rng.standard_normal((ITEMS, 12)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Visible(catalogue, log, vectors, 2_000_000)


@pytest.fixture(scope="module")
def fitted(visible):
    return Sequence(CONFIG).fit(visible)


def test_it_finds_what_comes_next(fitted, visible):
    queries = from_interactions(
        np.array([0, 0, 1, 1]), np.array([3, 4, 10, 11]), np.array([0, 3600, 0, 3600]), np.zeros(4, np.uint8),
        n_users=2, n_items=ITEMS, timed=True,
    )  # fmt: skip
    scores = fitted.score(queries)
    assert 5 in np.argsort(-scores[0])[:3]
    assert 12 in np.argsort(-scores[1])[:3]


def test_the_order_of_a_history_counts(fitted):
    def score(items):
        zeros = np.zeros(2, np.uint8)
        return fitted.score(
            from_interactions(np.zeros(2, int), np.array(items), np.array([0, 3600]), zeros, n_users=1, n_items=ITEMS,
                              timed=True)
        )[0]  # fmt: skip

    assert np.abs(score([3, 4]) - score([4, 3])).max() > 0.1


def test_the_faster_ways_agree_with_score(fitted, visible):
    histories = visible.histories.select(np.arange(5))
    scores = fitted.score(histories)
    wanted = np.array([2, 7, 20])
    np.testing.assert_allclose(fitted.score(histories, wanted), scores[:, wanted], rtol=1e-5)
    pairs = fitted.pairs(histories, np.array([0, 2, 2, 3, 3, 3]), np.array([1, 4, 9], np.int32))
    np.testing.assert_allclose(pairs, [scores[0, 1], scores[0, 4], scores[2, 9]], rtol=1e-5)
    positive = np.where(scores > 0, scores, -np.inf)
    assert np.array_equal(fitted.top(histories, 3).items, top_of_dense(positive, np.arange(ITEMS), 3).items)


def test_restored_it_scores_the_same_and_nobody_scores_nothing(fitted, visible):
    again = Sequence(CONFIG).restore(fitted.arrays())
    histories = visible.histories.select(np.arange(4))
    assert np.array_equal(again.score(histories), fitted.score(histories))
    assert not again.score(empty_histories(1, ITEMS, timed=True)).any()
    assert len(again.top(empty_histories(1, ITEMS, timed=True), 5).items) == 0


def test_it_goes_on_where_it_was(fitted, visible):
    """What was held out is learnt as well, from the weights at hand: it tells the log better, and is not made anew."""
    more = Sequence(CONFIG).refit(visible, fitted)
    assert more.trained[0].interactions.sum() == len(visible.histories.items) > fitted.trained[0].interactions.sum()
    moved = np.abs(more.trained[0].weights["text"] - fitted.trained[0].weights["text"]).mean()
    other = Sequence(CONFIG.model_copy(update={"seed": 5})).fit(visible)
    anew = np.abs(fitted.trained[0].weights["text"] - other.trained[0].weights["text"]).mean()
    assert 0 < moved < anew / 2
    none = Sequence(CONFIG.model_copy(update={"more": 0.0})).refit(visible, fitted)
    assert np.array_equal(none.trained[0].weights["text"], fitted.trained[0].weights["text"])


def test_a_new_item_is_its_text(fitted, visible):
    frame = pl.DataFrame({"item_id": ["new"], "category": ["Z"]})
    catalogue, rows = visible.catalogue.with_items(frame)
    white = visible.whitened()[[6]]
    new = NewItems(rows, catalogue, white, np.zeros(1, np.float32), np.full((1, 1), -1, np.int32))
    other = fitted.with_items(new)
    read = white[0] @ fitted.model.text
    np.testing.assert_allclose(other.factors[ITEMS], read / np.linalg.norm(read), atol=1e-6)
    assert other.model.categories[ITEMS] == other.model.none
    assert len(fitted.factors) == ITEMS
    known = NewItems(np.array([6], np.int32), visible.catalogue, white, np.zeros(1, np.float32), new.alike)
    assert np.array_equal(fitted.with_items(known).factors, fitted.factors)  # put again: what was learnt stays
    met = from_interactions(
        np.array([0]), np.array([ITEMS]), np.array([0]), np.zeros(1, np.uint8), n_users=1, n_items=ITEMS + 1, timed=True
    )
    assert np.abs(other.score(met)).max() > 0


def test_without_texts_it_reads_ids(visible):
    fitted = Sequence(CONFIG).fit(replace(visible, vectors=None))
    assert not fitted.model.config.text
    assert np.abs(fitted.factors[visible.histories.items[0]]).max() > 0


def test_several_models_score_as_the_mean_of_each_alone(visible):
    """Through training, restoring, new items and learning more."""
    few = CONFIG.model_copy(update={"epochs": 2})
    both = Sequence(few.model_copy(update={"models": 2})).fit(visible)
    alone = [Sequence(few.model_copy(update={"seed": seed})).fit(visible) for seed in (0, 1)]
    histories = visible.histories.select(np.arange(8))

    def same(one, others, histories=histories):
        expected = np.mean([source.score(histories) for source in others], axis=0)
        np.testing.assert_allclose(one.score(histories), expected, atol=1e-4)
        np.testing.assert_allclose(np.linalg.norm(one.factors, axis=1), 1, atol=1e-5)

    same(both, alone)
    restored = Sequence(both.config).restore(both.arrays())
    same(restored, alone)
    catalogue, rows = visible.catalogue.with_items(pl.DataFrame({"item_id": ["new"], "category": ["Z"]}))
    nothing = np.zeros(1, np.float32), np.full((1, 1), -1, np.int32)
    new = NewItems(rows, catalogue, visible.whitened()[[6]], *nothing)
    met = from_interactions(
        np.array([0, 0]), np.array([3, ITEMS]), np.array([0, 60]), np.zeros(2, np.uint8), n_users=1, n_items=ITEMS + 1,
        timed=True,
    )  # fmt: skip
    same(restored.with_items(new), [source.with_items(new) for source in alone], met)
    goes_on = [Sequence(source.config).restore(source.arrays()) for source in alone]
    assert restored.can_go_on
    same(
        Sequence(both.config).refit(visible, restored),
        [Sequence(source.config).refit(visible, source) for source in goes_on],
    )
    cosines = np.mean([source.between(np.array([1]), np.array([2, 3])) for source in alone], axis=0)
    np.testing.assert_allclose(both.between(np.array([1]), np.array([2, 3])), cosines, atol=1e-5)


def test_every_one_of_several_models_keeps_its_state(visible, tmp_path):
    config = CONFIG.model_copy(update={"epochs": 1, "models": 3})
    Sequence(config).fit(replace(visible, folder=tmp_path))
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(("categories", "replayed"), [(("A > x", "A > y"), True), (("A", "A"), False)])
def test_in_a_shop_of_one_category_the_opening_of_a_deeper_one_is_replayed(visible, monkeypatch, categories, replayed):
    paths = [categories[item % 2] for item in range(ITEMS)]
    catalogue = build_catalogue(pl.DataFrame({"item_id": [f"i{k}" for k in range(ITEMS)], "category": paths}))
    seen, loss = [], Run.loss

    def noted(run, batch):
        if batch.opening:
            seen.append(batch)
        return loss(run, batch)

    monkeypatch.setattr(Run, "loss", noted)
    fitted = Sequence(CONFIG.model_copy(update={"epochs": 2})).fit(replace(visible, catalogue=catalogue))
    trained = len(seen)
    Sequence(CONFIG).refit(replace(visible, catalogue=catalogue), fitted)
    assert (trained > 0, len(seen) > trained) == (replayed, replayed)
