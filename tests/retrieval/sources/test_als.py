import numpy as np
from implicit.cpu.als import AlternatingLeastSquares

from kuapin.retrieval.sources.als import Als, AlsConfig

SMALL = AlsConfig(embedding_size=6, regularization=0.1, alpha=5)


def test_checkerboard(checkerboard):
    source = Als(SMALL).fit(checkerboard)
    scores = source.score(checkerboard.histories)
    unseen = np.where(checkerboard.histories.matrix().toarray() > 0, -np.inf, scores)
    assert unseen.argmax(axis=1).tolist() == list(range(10))


def test_fold_in_is_the_half_step_of_the_library(checkerboard):
    source = Als(SMALL).fit(checkerboard)
    library = AlternatingLeastSquares(factors=6, regularization=0.1)
    library.item_factors = source.factors
    weights = source.confidence(checkerboard.histories.matrix(binary=False))
    for user in range(10):
        np.testing.assert_allclose(
            source.users(checkerboard.histories)[user], library.recalculate_user(0, weights[user]), rtol=1e-3, atol=1e-5
        )


def test_confidence_grows_with_the_count(of):
    counts = of("abbbc", n_items=3).matrix(binary=False)
    assert Als(SMALL).confidence(counts).toarray().tolist() == [[6, 11, 6]]  # 1 + 5 · log2(1 + count)


def test_the_seed_decides(checkerboard):
    one, same, other = (Als(SMALL.model_copy(update={"seed": seed})).fit(checkerboard).factors for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_an_item_that_nobody_met_scores_nothing(visible, of):
    source = Als(SMALL).fit(visible("ab", "ab", n_items=4))
    assert (source.score(of("a", n_items=4))[0, 2:] == 0).all()


def test_pruning_by_length_misses_nothing(visible, monkeypatch):
    """Blocks of one item: the stop rule is put to every test, and the best are those of the full product."""
    monkeypatch.setattr("kuapin.retrieval.sources.factors.FIRST_BLOCK", 1)
    rng = np.random.default_rng(0)
    users = ["".join(rng.choice(list("abcdefghijklmnop"), 6)) for _ in range(40)]
    shop = visible(*users, n_items=16)
    source = Als(AlsConfig(embedding_size=3)).fit(shop)
    scores = source.score(shop.histories)
    top = source.top(shop.histories, 3)
    for user in range(40):
        best = np.argsort(-scores[user], kind="stable")[:3]
        expected = best[scores[user, best] > 0]
        np.testing.assert_array_equal(top.items[top.indptr[user] : top.indptr[user + 1]], expected)
