"""Every metric on one toy shop, worked out by hand."""

import math

import numpy as np
import pytest

from kuapin.errors import InputError
from kuapin.evaluation.metrics.registry import evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked

# Six items; 0 1 2 are of category 0, 3 4 of category 1, 5 of category 2.
FACTS = ItemFacts(
    category=np.array([0, 0, 0, 1, 1, 2], np.int32),
    popularity=np.array([8, 4, 2, 1, 0, 0], np.int64),
    n_users=8,
    candidates=np.arange(6, dtype=np.int32),
)
RANKED = Ranked(np.array([[0, 3, 1, 5], [2, 1, 0, 4], [4, -1, -1, -1]], np.int32))
ANSWERS = Answers(np.array([0, 2, 3, 6]), np.array([1, 3, 5, 0, 1, 4], np.int32))
# Hits: user 0 at ranks 2 and 3 of two answers; user 1 none of one; user 2 at rank 1 of three.
SECOND, THIRD = 1 / math.log2(3), 1 / 2

WORKED_OUT = {
    "ndcg@4": [(SECOND + THIRD) / (1 + SECOND), 0, 1 / (1 + SECOND + THIRD)],
    "ndcg@2": [SECOND / (1 + SECOND), 0, 1 / (1 + SECOND)],
    "ndcg@1": [0, 0, 1],
    "recall@4": [1, 0, 1 / 3],
    "recall@2": [1 / 2, 0, 1 / 3],
    "hit_rate@4": [1, 0, 1],
    "hit_rate@1": [0, 0, 1],
    "mrr": [1 / 2, 0, 1],
    "mrr@1": [0, 0, 1],
    "precision@4": [2 / 4, 0, 1 / 4],
    "precision@2": [1 / 2, 0, 1 / 2],
    # Categories 0 1 0 2: a half and two quarters are 1.5 bits; 0 0 0 1: three quarters and one; one item: none.
    "category_entropy@4": [1.5, -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)), 0],
    "category_entropy@2": [1, 0, 0],
    # Items 0 … 5 carry 0, 1, 2, 3 bits (8, 4, 2, 1 of 8 users) and, never met, 3 bits too.
    "novelty@4": [(0 + 3 + 1 + 3) / 4, (2 + 1 + 0 + 3) / 4, 3],
    "novelty@2": [1.5, 1.5, 3],
    # Less popular candidates, ties half: item 0 5.5 of 6, 1 4.5, 2 3.5, 3 2.5, 4 and 5 1 (itself half, its twin half).
    "popularity_bias@4": [(5.5 + 2.5 + 4.5 + 1) / 24, (3.5 + 4.5 + 5.5 + 1) / 24, 1 / 6],
    "average_popularity@4": [(8 + 1 + 4 + 0) / 4, (2 + 4 + 8 + 0) / 4, 0],
}


@pytest.mark.parametrize("metric", WORKED_OUT)
def test_values_worked_out_by_hand(metric):
    assert evaluate(RANKED, ANSWERS, FACTS, [metric]).users[metric] == pytest.approx(WORKED_OUT[metric], abs=1e-12)


def test_ideal_cut_is_at_k_and_answers():
    """Twelve answers, the first ten all found: NDCG@10 is 1, recall@10 10 / 12."""
    facts = ItemFacts(np.zeros(20, np.int32), np.zeros(20, np.int64), 0, np.arange(20, dtype=np.int32))
    ranked = Ranked(np.arange(10, dtype=np.int32)[None])
    answers = Answers(np.array([0, 12]), np.arange(12, dtype=np.int32))
    outcome = evaluate(ranked, answers, facts, ["ndcg@10", "recall@10"])
    assert outcome.mean("ndcg@10") == pytest.approx(1)
    assert outcome.mean("recall@10") == pytest.approx(10 / 12)


def test_coverage_counts_candidates_shown_to_anyone():
    outcome = evaluate(RANKED, ANSWERS, FACTS, ["coverage@1", "coverage@2", "coverage@4"])
    # Rank 1: 0 2 4; rank 2 adds 3 and 1; the rest adds 5.
    assert outcome.whole == pytest.approx({"coverage@1": 3 / 6, "coverage@2": 5 / 6, "coverage@4": 1})


def test_coverage_of_a_launch_counts_its_items_only():
    launch = ItemFacts(FACTS.category, FACTS.popularity, 8, np.array([3, 4, 5], np.int32))
    assert evaluate(RANKED, ANSWERS, launch, ["coverage@1"]).mean("coverage@1") == pytest.approx(1 / 3)


def test_empty_list_scores_zero_and_is_left_out_of_what_lists_are_like():
    ranked = Ranked(np.array([[-1, -1], [0, 1]], np.int32))
    answers = Answers(np.array([0, 1, 2]), np.array([0, 0], np.int32))
    outcome = evaluate(ranked, answers, FACTS, ["ndcg@2", "novelty@2", "category_entropy@2", "popularity_bias@2"])
    assert outcome.mean("ndcg@2") == pytest.approx(0.5)
    assert np.isnan(outcome.users["novelty@2"][0])
    assert outcome.mean("novelty@2") == pytest.approx(0.5)
    assert outcome.mean("category_entropy@2") == 0
    assert outcome.frame().shape == (2, 4)


def test_cold_category_has_no_popularity_bias():
    cold = ItemFacts(FACTS.category, np.zeros(6, np.int64), 0, FACTS.candidates)
    assert evaluate(RANKED, ANSWERS, cold, ["popularity_bias@4"]).users["popularity_bias@4"] == pytest.approx([0.5] * 3)


def test_unknown_metric_is_named():
    with pytest.raises(InputError, match=r"A metric is one of ndcg, .*'map@10' came"):
        evaluate(RANKED, ANSWERS, FACTS, ["map@10"])


def test_lists_cut_too_early_are_refused():
    short = Ranked(RANKED.items[:, :2])
    with pytest.raises(InputError, match=r"recall@4 needs lists of 4 items; they are cut at 2"):
        evaluate(short, ANSWERS, FACTS, ["recall@4"])


def test_lists_as_long_as_the_catalogue_are_long_enough():
    assert evaluate(RANKED, ANSWERS, ItemFacts(FACTS.category, FACTS.popularity, 8, np.arange(4)), ["recall@50"])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([[0, 0, 1, 2]] * 3, "holds an item twice"),
        ([[0, 1, 2, 6]] * 3, "Item rows are below 6; 6 came"),
        ([[0, 1, 2, 3]] * 2, "same users; 2 and 3 came"),
    ],
)
def test_lists_that_cannot_be_judged_are_refused(items, message):
    with pytest.raises(InputError, match=message):
        evaluate(Ranked(np.array(items, np.int32)), ANSWERS, FACTS)


def test_user_without_answers_is_refused():
    with pytest.raises(InputError, match="user 1 has none"):
        evaluate(RANKED, Answers(np.array([0, 1, 1, 2]), np.array([0, 1], np.int32)), FACTS)
