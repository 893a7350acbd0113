"""What a shop gives the language model to learn from, and who is asked afterwards."""

import numpy as np
import polars as pl
import pytest

from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.gate import GateConfig, Paired, judge
from kuapin.evaluation.metrics.registry import PerUser
from kuapin.finetuning.material import chosen_categories
from kuapin.pipeline.finetune import material_of
from kuapin.pipeline.text_zero_shot import METRICS, Opening, _judged, openings
from kuapin.workspace import Shop
from tests import market


@pytest.fixture
def shop(tmp_path):
    items = market.items().with_columns(
        pl.when(pl.col("item_id") == "B-rose-soap-small").then(None)
        .when(pl.col("item_id") == "B-oak-soap-small").then(pl.lit("oak soap, write to ann@example.org"))
        .otherwise(pl.col("title")).alias("title")
    )  # fmt: skip
    items.write_csv(tmp_path / "items.csv")
    market.log(n_users=240).write_csv(tmp_path / "log.csv")
    shop = Shop.init(tmp_path / "shop")
    shop.import_files(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")
    return shop


def material(shop, categories=(), left_out=()):
    dataset = shop.dataset()
    out = np.zeros(len(dataset.users), np.bool_)
    out[list(left_out)] = True
    with pytest.warns(UserWarning, match="1 of 96 have no title"):
        return material_of(shop, dataset, chosen_categories(dataset, categories), out, 0)


def test_nothing_outside_the_source_categories_and_nobody_who_is_asked_later_is_in_it(shop):
    given = material(shop, ["Beauty", "Pets"], left_out=[3, 7])
    catalogue = given.dataset.catalogue
    inside = np.isin(catalogue.category, [catalogue.categories.index(name) for name in ("Beauty", "Pets")])
    assert np.array_equal(given.allowed, inside)
    assert inside[given.histories.items].all()
    assert given.histories.lengths[[3, 7]].tolist() == [0, 0]
    assert (given.histories.lengths > 0).sum() > 200
    assert inside[given.text_rows()].all()
    assert given.log.height == given.histories.lengths.sum()
    assert set(given.log["user_id"]) & {given.dataset.users.id(3), given.dataset.users.id(7)} == set()


def test_titles_are_masked_and_a_missing_one_is_not_made_up_from_the_category(shop):
    given = material(shop)
    rows = {item: given.dataset.catalogue.items.row(item) for item in ("B-rose-soap-small", "B-oak-soap-small")}
    assert given.titles[rows["B-rose-soap-small"]] == ""
    assert "Beauty" in given.texts[rows["B-rose-soap-small"]]
    assert "ann@example.org" not in given.titles[rows["B-oak-soap-small"]]
    assert given.titles[rows["B-oak-soap-small"]].startswith("oak soap")


def test_new_categories_are_asked_about_from_the_source_categories_alone(shop):
    dataset = shop.dataset()
    allowed = chosen_categories(dataset, ["Beauty", "Home"])
    found = openings(dataset, allowed, seed=0)
    assert [(opening.category, opening.new) for opening in found] == [
        ("Garden", True), ("Pets", True), ("Beauty", False), ("Home", False),
    ]  # fmt: skip
    for opening in found:
        inside = dataset.catalogue.category == dataset.catalogue.categories.index(opening.category)
        queries, answers = opening.launch.queries, opening.launch.answers
        assert (allowed & ~inside)[queries.items].all()
        assert inside[answers.items].all()
        assert len(opening.launch.test_users) >= 30


def test_a_category_is_served_worse_where_the_whole_interval_lies_below_1():
    def opening(low, high):
        return Opening("Home", False, None, decides=Interval((low + high) / 2, low, high))

    assert opening(0.7, 0.99).worse
    assert not opening(0.7, 1.0).worse
    assert not opening(1.1, 1.3).worse
    assert not Opening("Home", False, None).worse  # nobody was asked


def test_of_many_categories_the_unluckiest_is_not_served_worse_by_chance():
    """Two encoders that are alike: one category in twenty would be called worse by a 95 % interval of its own."""
    rng = np.random.default_rng(0)
    verdict = judge({"Home": Paired(np.ones(2), np.ones(2))}, GateConfig())[0]
    alone = together = 0
    for _ in range(100):
        found = [PerUser(dict.fromkeys(METRICS, rng.random(60)), {}) for _ in range(2)]
        opening = _judged(Opening("Home", False, None), *found, verdict, 20)
        assert opening.decides.low <= opening.ratios["ndcg@10"].low <= opening.ratios["ndcg@10"].high
        alone += opening.ratios["ndcg@10"].high < 1
        together += opening.worse
    assert alone > 0
    assert together == 0
