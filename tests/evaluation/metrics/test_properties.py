"""What holds for every metric on any lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuapin.evaluation.metrics.registry import ACCURACY, BEYOND, WHOLE, evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked

N_ITEMS, K = 30, 12
CUT = 5
ALL = [f"{name}@{CUT}" for name in (*ACCURACY, *BEYOND, *WHOLE)]


def lists_and_answers(seed: int, n_users: int) -> tuple[Ranked, Answers, ItemFacts]:
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(N_ITEMS)[:K] for _ in range(n_users)]).astype(np.int32)
    items[np.arange(K)[None] >= rng.integers(1, K + 1, n_users)[:, None]] = -1
    answers = [np.sort(rng.permutation(N_ITEMS)[: rng.integers(1, 9)]) for _ in range(n_users)]
    indptr = np.concatenate(([0], np.cumsum([len(a) for a in answers])))
    facts = ItemFacts(
        rng.integers(0, 4, N_ITEMS).astype(np.int32),
        rng.integers(0, 20, N_ITEMS),
        20,
        np.arange(N_ITEMS, dtype=np.int32),
    )
    return Ranked(items), Answers(indptr, np.concatenate(answers).astype(np.int32)), facts


tables = st.builds(lists_and_answers, st.integers(0, 2**32 - 1), st.integers(1, 8))


@given(tables)
def test_accuracy_lies_between_0_and_1(table):
    for name in ACCURACY:
        values = evaluate(*table, metrics=[name]).users[name]
        assert values.dtype == np.float64
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()


@given(tables)
def test_what_lists_are_like_stays_in_its_bounds(table):
    outcome = evaluate(*table, metrics=ALL)
    assert (outcome.users[f"category_entropy@{CUT}"] <= np.log2(min(CUT, 4)) + 1e-12).all()
    assert (outcome.users[f"category_entropy@{CUT}"] >= 0).all()
    assert (outcome.users[f"novelty@{CUT}"] >= 0).all()
    assert ((outcome.users[f"popularity_bias@{CUT}"] > 0) & (outcome.users[f"popularity_bias@{CUT}"] < 1)).all()
    assert 0 <= outcome.whole[f"coverage@{CUT}"] <= 1


@given(tables, st.integers(0, 2**32 - 1))
def test_the_order_of_users_does_not_matter(table, seed):
    ranked, answers, facts = table
    order = np.random.default_rng(seed).permutation(len(ranked))
    straight, shuffled = evaluate(*table, metrics=ALL), evaluate(ranked.take(order), answers.take(order), facts, ALL)
    for name, values in straight.users.items():
        np.testing.assert_array_equal(values[order], shuffled.users[name])
    assert straight.whole == shuffled.whole


@given(tables, st.data())
def test_a_better_list_never_scores_lower(table, data):
    """Move one hit up by one place: no accuracy metric falls at any cut."""
    ranked, answers, facts = table
    user = data.draw(st.integers(0, len(ranked) - 1))
    items, wanted = ranked.items.copy(), set(answers.take(np.array([user])).items.tolist())
    places = [r for r in range(1, K) if items[user, r] in wanted and items[user, r - 1] not in wanted]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    items[user, [place - 1, place]] = items[user, [place, place - 1]]
    better = Ranked(items)
    for name in ACCURACY:
        for k in (1, CUT, K):
            before = evaluate(ranked, answers, facts, [f"{name}@{k}"]).users[f"{name}@{k}"]
            after = evaluate(better, answers, facts, [f"{name}@{k}"]).users[f"{name}@{k}"]
            assert (after >= before - 1e-15).all()
    if place == CUT:  # it has entered the first five
        recall = f"recall@{CUT}"
        assert (
            evaluate(better, answers, facts, [recall]).users[recall][user]
            > evaluate(ranked, answers, facts, [recall]).users[recall][user]
        )


@given(tables)
def test_a_perfect_list_scores_1(table):
    _, answers, facts = table
    perfect = Ranked.from_flat(answers.indptr, answers.items, K)
    outcome = evaluate(perfect, answers, facts, ["ndcg@10", "recall@10", "hit_rate@10", "mrr"])
    for values in outcome.users.values():
        assert values == pytest.approx(np.ones(len(perfect)))


@given(tables)
@settings(max_examples=30)
def test_flat_lists_and_tables_are_the_same(table):
    ranked, _, _ = table
    lengths = (ranked.items >= 0).sum(axis=1)
    flat = ranked.items[ranked.items >= 0]
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    np.testing.assert_array_equal(Ranked.from_flat(indptr, flat, K).items, ranked.items)
