"""What people say about items reaches the labels table, the lists and the queue."""

import numpy as np
import polars as pl
import pytest

from kuapin.data.dataset import build_catalogue
from kuapin.data.vocabulary import Vocabulary
from kuapin.errors import InputError, UnknownIdError
from kuapin.list_layer import SAFETY, open_decisions, open_reranker
from kuapin.model_folder import Releases
from kuapin.pipeline.decisions import say_of, waiting
from kuapin.ranking.safety import SafetyConfig, decide
from kuapin.workspace import Shop
from tests import market, served


@pytest.fixture
def shop(tmp_path) -> Shop:
    """Three items; a release that blocks the rifle and doubts the lamp."""
    items = pl.DataFrame({"item_id": ["a", "b", "c"], "title": ["Hunting rifle", "Lamp", "Soap"]})
    items.write_parquet(tmp_path / "items.parquet")
    shop = Shop.init(tmp_path / "shop")
    shop.import_files(items=tmp_path / "items.parquet")
    decide(items, np.array([-9.0, 0.0, -9.0]), SafetyConfig()).write_parquet(shop.models / SAFETY)
    return shop


def reranker(shop: Shop, items: pl.DataFrame | None = None):
    catalogue = build_catalogue(shop.store.read("items") if items is None else items)
    return open_reranker(shop, market.model().recommender, catalogue, Vocabulary([], "user"), shop.models)


def test_decisions_of_the_release_reach_the_lists(shop):
    lists = reranker(shop)
    assert lists.blocked.tolist() == [True, False, False]
    assert lists.penalty.tolist() == [0.0, 3.0, 0.0]


def test_people_overrule_them_and_can_change_their_mind(shop):
    say_of(shop, allow=["a"], block=["c"])
    assert reranker(shop).blocked.tolist() == [False, False, True]
    say_of(shop, allow=["c"])
    assert reranker(shop).blocked.tolist() == [False, False, False]
    assert open_decisions(shop, shop.models)["decision"].to_list() == ["pass", "penalise", "pass"]


def test_an_item_that_came_after_the_training_is_judged_by_its_words(shop):
    more = pl.DataFrame({"item_id": ["a", "b", "c", "d", "e"], "title": ["x", "x", "x", "Cocaine, 1 g", "Tray"]})
    assert reranker(shop, more).blocked.tolist() == [True, False, False, True, False]


def test_what_came_after_the_training_waits_as_well(tmp_path):
    """What is new, or got another title, is judged by its present words; a person's word ends the waiting."""
    shop = served.shop(tmp_path)
    made = decide(market.items(), None, SafetyConfig())
    served.publish(shop, also=lambda draft, _: made.write_parquet(draft / SAFETY))
    release = Releases(shop.models, shop.config.releases).open_live()
    assert waiting(shop, release).height == 0
    new = pl.DataFrame({"item_id": ["new", "fine"], "title": ["Cocaine, 1 g", "A tray"]})
    renamed = market.items().head(1).with_columns(title=pl.lit("Hunting rifle"))
    shop.store.write({"items": pl.concat([new, renamed], how="diagonal")})
    found = waiting(shop, release)
    assert dict(found.select("item_id", "decision").iter_rows()) == {"new": "block", renamed["item_id"][0]: "block"}
    say_of(shop, block=["new"])
    assert waiting(shop, release)["item_id"].to_list() == [renamed["item_id"][0]]


def test_safety_can_be_switched_off(shop):
    text = (shop.path / "kuapin.toml").read_text().replace("[safety]", "[safety]\nenabled = false", 1)
    (shop.path / "kuapin.toml").write_text(text.replace("enabled = true\n", "", 1))
    assert not reranker(Shop.open(shop.path)).blocked.any()


def test_wrong_decisions_are_refused_and_nothing_is_noted(shop):
    with pytest.raises(UnknownIdError, match="no item with the id 'zz'"):
        say_of(shop, allow=["a"], block=["zz"])
    with pytest.raises(InputError, match="'a' is both allowed and blocked"):
        say_of(shop, allow=["a"], block=["a"])
    assert shop.store.read("labels").height == 0
