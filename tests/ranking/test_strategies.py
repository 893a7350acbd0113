"""Every strategy is a ranker of the same signals."""

import numpy as np
import pytest

from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.strategies import possible_strategies, ranker_of
from tests.ranking.test_expectations import lists_of

NAMES = ("popularity", "adapted", "item_knn", "predicted_popularity", "adapted_gap")
TABLE = np.array([[0.0, 0.1, 5.0, 1.2, 0], [0.0, 0.9, 0.0, 0.7, 0], [1.1, 0.2, 0.0, 0.1, 0]], np.float32)


def scores(strategy: str) -> np.ndarray:
    return ranker_of(strategy, NAMES, 4, lists_of(), RankingConfig()).score(TABLE)


def test_popularity_counts_people_and_then_reads_texts():
    assert np.argsort(-scores("popularity")).tolist() == [2, 0, 1]


def test_text_reads_texts_alone():
    np.testing.assert_allclose(scores("text"), TABLE[:, 1])


def test_the_mixture_weighs_by_fixed_weights_and_transfer_without_lists_is_it():
    np.testing.assert_allclose(scores("mixture"), TABLE[:, :3] @ np.array([0.5, 0.3, 1.0]), rtol=1e-6)
    np.testing.assert_array_equal(scores("transfer"), scores("mixture"))


def test_what_reads_a_missing_signal_is_not_possible():
    assert possible_strategies(NAMES) == ("popularity", "text", "mixture", "transfer")
    assert possible_strategies(("item_knn",)) == ("mixture", "transfer")


@pytest.mark.parametrize("strategy", ["popularity", "text"])
def test_saved_it_scores_the_same(tmp_path, strategy):
    ranker = ranker_of(strategy, NAMES, 4, lists_of(), RankingConfig())
    ranker.save(tmp_path)
    np.testing.assert_array_equal(type(ranker).load(tmp_path).score(TABLE), ranker.score(TABLE))
