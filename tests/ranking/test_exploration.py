"""Places that try: which they are, with what probability they hold what they hold, and what stays as it was."""

from collections import Counter
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from kuapin.data.vocabulary import Vocabulary
from kuapin.ranking import exploration as exploring
from kuapin.ranking.diversity import DiversityConfig
from kuapin.ranking.exploration import Evidence, Exploration, ExplorationConfig, evidence_of, followed, seen_of
from kuapin.ranking.reranker import Reranker
from tests import market

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def exploration(n=96, weight=20.0, **config) -> Exploration:
    return Exploration(ExplorationConfig(**{"share": 0.2} | config), Evidence(np.full(n, weight), np.ones(n)))


@pytest.fixture(scope="module")
def model():
    return market.model()


def with_tries(model, tries, **reranker):
    lists = Reranker(model.recommender, model.catalogue, exploration=tries, **reranker)
    return type(model)("r1", model.recommender, model.catalogue, model.users, model.histories, lists)


def test_the_places_do_not_depend_on_the_length():
    assert exploration(share=0.2).places(12).tolist() == [4, 9]
    assert exploration(share=0.1).places(9).tolist() == []
    assert exploration(share=0.3).places(10).tolist() == [3, 6, 9]


def test_an_impression_is_followed_once_and_only_in_its_own_ranking():
    log = pl.DataFrame(
        [
            ("u", "a", "impression", "r1"),
            ("u", "a", "click", "r1"),
            ("u", "a", "click", "r1"),
            ("u", "b", "impression", "r1"),
            ("u", "a", "impression", "r2"),
            ("v", "a", "click", "r2"),
        ],
        schema=["user_id", "item_id", "event", "ranking_id"],
        orient="row",
    )
    assert followed(log, "click")["success"].to_list() == [True, False, False]
    # usual = 1/3; a: (1 + 20/3) / (22/3); b: (0 + 20/3) / (21/3); c was never shown
    found = evidence_of(
        seen_of(log, "click"), Vocabulary(pl.Series(["a", "b", "c"]), "item"), np.array([5, 0, 0]), ExplorationConfig()
    )
    np.testing.assert_allclose(found.lift, [23 / 22, 20 / 21, 1])
    assert found.weight.tolist() == [27, 21, 20]


def test_chances_are_those_of_being_best_with_a_floor():
    sure = exploration(n=2, weight=1e9, floor=0.1)  # nothing is unsure: the best is always drawn
    chance = sure.chances(np.array([0.2, 0.1]), np.array([0, 1]), np.random.default_rng(0))
    np.testing.assert_allclose(chance, [0.95, 0.05])
    even = exploration(n=2, weight=5.0).chances(np.array([0.2, 0.2]), np.array([0, 1]), np.random.default_rng(0))
    np.testing.assert_allclose(even, [0.5, 0.5], atol=0.12)  # 200 draws: 0.5 ± 3 · 0.035


def test_what_is_shown_comes_as_often_as_its_propensity_says():
    tries = exploration(n=12, weight=4.0, candidates=3)
    chosen, free = np.arange(10), np.arange(12) >= 10
    probability, alike = np.linspace(0.5, 0.3, 12), np.zeros((12, 1), np.int64)
    places, seen, said = np.zeros(10, np.bool_), Counter(), {}
    for seed in range(3000):
        rng = np.random.default_rng(seed)
        found, propensity = tries.choose(chosen, free, np.arange(12), probability, alike, places, np.arange(12), rng)
        assert (found[propensity == 1] == chosen[propensity == 1]).all()
        assert set(np.flatnonzero(propensity < 1)) == {4, 9}
        seen[int(found[4])] += 1
        said.setdefault(int(found[4]), []).append(1 / propensity[4])
    assert set(seen) == {4, 10}
    for weights in said.values():  # E[1{shown} / propensity] = 1
        assert sum(weights) / 3000 == pytest.approx(1, abs=0.06)


def test_only_places_that_try_change_and_no_item_comes_twice(model):
    tries = with_tries(model, exploration(weight=2.0))
    before, after = (m.recommend(model.users.ids, 10, now=NOON) for m in (model, tries))
    assert "propensity" not in before.columns
    changed = (before["target_id"] != after["target_id"]).to_numpy().reshape(-1, 10)
    assert changed[:, [4, 9]].any(axis=0).all()
    assert not np.delete(changed, [4, 9], axis=1).any()
    propensity = after["propensity"].to_numpy().reshape(-1, 10)
    assert (np.delete(propensity, [4, 9], axis=1) == 1).all()
    assert ((propensity[:, [4, 9]] > 0) & (propensity[:, [4, 9]] < 1)).all()
    assert after.group_by("user_id").agg(pl.col("target_id").n_unique())["target_id"].unique().to_list() == [10]


def test_one_and_many_agree_for_a_day_and_the_next_day_differs(model):
    tries = with_tries(model, exploration(weight=2.0))
    many = tries.recommend(model.users.ids, 10, now=NOON)
    assert tries.recommend("user 007", 10, now=NOON).equals(many.filter(user_id="user 007"))
    assert not tries.recommend(model.users.ids, 10, now=NOON.replace(day=6)).equals(many)


def test_caps_hold_and_what_a_rule_placed_stays(model):
    spread = DiversityConfig(per_category=3, per_brand=4)
    plain, tried = (
        with_tries(model, one, diversity=spread).recommend(model.users.ids, 10, now=NOON)
        for one in (None, exploration(weight=2.0))
    )
    facts = model.catalogue.frame.select("item_id", "brand", top=pl.col("category").str.head(4))
    counts = [
        frame.join(facts, left_on="target_id", right_on="item_id").group_by("user_id", name).len().sort("user_id", name)
        for frame in (plain, tried)
        for name in ("brand", "top")
    ]
    assert counts[0].equals(counts[2])  # brands and categories of every list are what they were
    assert counts[1].equals(counts[3])
    assert not plain["target_id"].equals(tried["target_id"])


def test_nothing_is_tried_on_a_home_page(model):
    tries = with_tries(model, exploration(weight=2.0))
    assert "propensity" not in tries.products_of(model.users.ids, 10, None).columns
    assert replace(tries.reranker, exploration=None).exploration is None


@pytest.mark.parametrize(
    "spread", [DiversityConfig(), DiversityConfig(per_category=12), DiversityConfig(discovery=0.3)]
)
def test_pages_of_one_list_agree(model, spread):
    tries = with_tries(model, exploration(weight=2.0, share=0.1), diversity=spread)
    histories, who = model.histories, np.arange(len(model.users))

    def asked(n, page):
        found = tries.answer(histories, n, who=who, now=NOON, page=page)
        return found.items.reshape(-1, n), found.propensity.reshape(-1, n)

    items, chance = asked(40, 10)
    for n in (10, 20, 30):
        shorter, known = asked(n, 10)
        assert (shorter == items[:, :n]).all()
        assert (known == chance[:, :n]).all()
    assert all(len(set(own)) == 40 for own in items)
    assert (np.flatnonzero((chance < 1).any(axis=0)) == [9, 19, 29, 39]).all()
    assert (items[:, 10:] != asked(40, 40)[0][:, 10:]).any()  # what the first page put off is not lost


@pytest.mark.parametrize("penalised", [False, True])
def test_pages_agree_where_little_is_proposed_or_safety_changes_the_order(model, monkeypatch, penalised):
    monkeypatch.setattr(exploring, "DEPTH", 20)
    signals = copy(model.recommender.signals)
    signals.config = signals.config.model_copy(update={"candidates": 10})
    few = copy(model)
    few.recommender = replace(model.recommender, signals=signals)
    penalty = np.where(np.arange(96) % 5 == 0, 2.0, 0.0) if penalised else None
    tries = with_tries(few, exploration(weight=2.0, share=0.1), penalty=penalty)
    users = few.histories.select(np.arange(60))

    def asked(n):
        return tries.answer(users, n, who=np.arange(60), now=NOON, page=10).items.reshape(60, n)

    whole = asked(50)
    assert all((asked(n) == whole[:, :n]).all() for n in (10, 20, 30, 40))
