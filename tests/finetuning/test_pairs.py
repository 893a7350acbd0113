import numpy as np
import polars as pl

from kuapin.data.dataset import build_dataset
from kuapin.finetuning.pairs import drawn_pairs, shelf_negatives
from tests import market
from tests.finetuning.conftest import material_of


def places(material, user):
    return {int(item): place for place, item in enumerate(material.histories.of(user))}


def test_pairs_are_of_one_history_within_the_window_and_have_two_texts(material):
    pairs = drawn_pairs(material, window=3, per_user=6, across=0.5, allowed=material.allowed)
    assert len(pairs.users) > 500
    assert np.bincount(pairs.users).max() <= 6
    for user, a, b in zip(pairs.users, pairs.first, pairs.second, strict=True):
        history = material.histories.of(int(user))
        gaps = np.abs(np.flatnonzero(history == a)[:, None] - np.flatnonzero(history == b)[None, :])
        assert gaps.min() <= 3
        assert material.texts[a] != material.texts[b]


def test_the_share_of_pairs_between_shelves_is_kept_to(material):
    leaf = material.dataset.catalogue.leaf
    shares = []
    for across in (0.0, 0.5, 1.0):
        pairs = drawn_pairs(material, window=20, per_user=2, across=across, allowed=material.allowed)
        shares.append((leaf[pairs.first] != leaf[pairs.second]).mean())
    assert shares[0] < 0.3 < shares[1] < 0.7
    assert shares[2] == 1.0


def test_the_same_seed_draws_the_same_pairs():
    first, again, other = (
        drawn_pairs(m, window=5, per_user=5, across=0.5, allowed=m.allowed)
        for m in (material_of(market.dataset()), material_of(market.dataset()), material_of(market.dataset(), seed=1))
    )
    assert np.array_equal(first.first, again.first)
    assert not np.array_equal(first.first[:50], other.first[:50])


def test_only_allowed_items_are_in_pairs(material):
    allowed = material.dataset.catalogue.category == 0
    pairs = drawn_pairs(material, window=20, per_user=5, across=0.5, allowed=allowed)
    assert len(pairs.users)
    assert allowed[pairs.first].all()
    assert allowed[pairs.second].all()


def test_hard_negatives_were_never_met_and_lie_on_the_second_ones_shelf(material):
    pairs = drawn_pairs(material, window=5, per_user=2, across=0.5, allowed=material.allowed)
    negatives = shelf_negatives(material, pairs, 2)
    leaf, same = material.dataset.catalogue.leaf, []
    for user, second, drawn in zip(pairs.users, pairs.second, negatives, strict=True):
        assert set(drawn) & set(material.histories.of(int(user))) == set()
        same += [leaf[item] == leaf[second] for item in drawn]
    assert np.mean(same) > 0.95  # the others are of users who met the whole shelf


def test_who_met_everything_has_no_hard_negative_but_the_second_one_itself():
    items = market.items().head(6)
    log = items.select(pl.lit("u").alias("user_id"), "item_id", timestamp=pl.int_range(6), event=pl.lit("purchase"))
    material = material_of(build_dataset(items, log), log=log)
    pairs = drawn_pairs(material, window=5, per_user=20, across=0.5, allowed=material.allowed)
    assert len(pairs.users) == 15
    assert (shelf_negatives(material, pairs, 2) == pairs.second[:, None]).all()
