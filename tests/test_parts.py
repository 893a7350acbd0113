"""A release of several parts: each serves its categories, and a list is the best of what they say."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.errors import ModelFolderError, UnknownIdError
from kuapin.manifest import Route, Routing, read_routing
from kuapin.model import CATALOGUE, Model
from kuapin.model_folder import Releases
from kuapin.pipeline.parts import take_over, take_over_part
from kuapin.pipeline.train import write_catalogue
from kuapin.ranking.calibration import Calibration
from kuapin.ranking.recommender import RANKER
from kuapin.workspace import Shop
from tests import market


@pytest.fixture(scope="module")
def whole() -> Model:
    return market.model()


def sure_of(model: Model, categories: int) -> Calibration:
    """A scale on which everything is all but certain."""
    return Calibration(1e-3, 6.0, np.zeros(categories))


@pytest.fixture(scope="module")
def routed(whole) -> Model:
    """The same market, its ``Pets`` served by a part that is surer of everything; the default lacks some of them."""
    old = whole.catalogue.frame.filter(pl.col(c.ITEM_ID) != "P-oak-bed-small")[c.ITEM_ID]
    keep = np.ones(96, np.bool_)
    keep[whole.catalogue.items.row("P-oak-bed-small")] = False
    default = Model(
        "r2",
        whole.recommender,
        replace(whole.catalogue, available=whole.catalogue.available & keep),
        whole.users,
        whole.histories,
    )
    assert old.len() == 95
    sure = replace(whole.recommender, calibration=sure_of(whole, 4), strangers=sure_of(whole, 4))
    part = Model("r2", sure, whole.catalogue, whole.users, whole.histories)
    default.parts = {"Pets": part}
    return default


def test_a_part_serves_its_categories_and_nothing_else(routed, whole):
    users = ["user 003", "stranger", "user 100"]
    mixed = routed.recommend(users, n=40, explain=True)
    assert mixed.group_by(c.USER_ID, maintain_order=True).len().rows() == [(user, 40) for user in users]
    assert mixed[c.RANK].to_list() == [*range(1, 41)] * 3
    assert mixed[c.REASON].null_count() == 0
    top = mixed.filter(pl.col(c.RANK) <= 24)[c.TARGET_ID]
    assert top.str.starts_with("P-").all()  # all 24 of Pets, which the part is sure of, come first
    assert top.n_unique() == 24
    rest = mixed.filter(pl.col(c.RANK) > 24)
    alone = whole.recommend(users, n=16, categories=["Beauty", "Home", "Garden"], explain=True)
    same = [c.USER_ID, c.TARGET_ID, c.SCORE, c.REASON]
    assert rest.select(same).equals(alone.select(same))


def test_one_category_asks_one_part(routed, whole):
    for category in ("Pets", "Home"):
        asked = routed.recommend("user 003", n=5, categories=[category])
        assert asked[c.TARGET_ID].equals(whole.recommend("user 003", n=5, categories=[category])[c.TARGET_ID])
    assert routed.recommend("user 003", n=1, categories=["Pets"])[c.SCORE][0] > 0.99
    with pytest.raises(UnknownIdError, match="Cars"):
        routed.recommend("user 003", categories=["Cars", "Pets"])


def test_the_cap_holds_over_all_parts(routed):
    table = routed.recommend("user 003", n=8, per_category=2)
    assert table[c.TARGET_ID].str.head(1).value_counts()["count"].to_list() == [2, 2, 2, 2]


def test_visitors_strangers_similar_and_descriptions(routed, whole):
    seen = ["P-oak-bed-large", "H-oak-lamp-small", "no such item"]
    table = routed.recommend_visitor(seen, n=30)
    assert table[c.TARGET_ID][:24].str.starts_with("P-").all()
    assert routed.strangers(["stranger", "user 003"]).to_list() == ["stranger"]
    assert routed.similar("P-oak-bed-small", n=3).equals(
        whole.similar("P-oak-bed-small", n=3).with_columns(release=pl.lit("r2"))
    )
    described = routed.describe(["H-oak-lamp-small", "P-oak-bed-small", "H-oak-lamp-small"])
    assert described[c.ITEM_ID].to_list() == ["H-oak-lamp-small", "P-oak-bed-small", "H-oak-lamp-small"]
    assert described[c.CATEGORY].to_list() == ["Home", "Pets", "Home"]


@pytest.fixture
def shop(tmp_path, whole) -> Shop:
    """With one release, and its log in the store."""
    shop = Shop.init(tmp_path / "shop")
    market.items().write_parquet(tmp_path / "items.parquet")
    market.log().write_parquet(tmp_path / "log.parquet")
    shop.import_files(items=tmp_path / "items.parquet", interactions=tmp_path / "log.parquet")
    publish(shop, whole, Routing(default=Route(ranker=RANKER)))
    return shop


def publish(shop, model, routing, write=None):
    releases = Releases(shop.models)
    with releases.begin() as draft:
        if write is None:
            model.recommender.save(draft.path)
            write_catalogue(model.catalogue, draft.path)
        else:
            routing = write(draft.path, routing)
        releases.publish(draft, routing=routing, snapshot="s", fingerprint="f", config={}, metrics={})
    return Releases(shop.models).open_live()


def test_a_release_takes_over_parts_of_the_one_before(shop, whole):
    first = Releases(shop.models).open_live()
    before = lists(Model.load(shop))

    def write(draft, routing):
        take_over(first, draft)
        kept = take_over_part(first, read_routing(first).default, draft, "kept")
        return Routing(default=Route(ranker=RANKER), categories={"Pets": kept, "Home": kept})

    second = publish(shop, whole, None, write)
    assert (second / "parts/kept" / CATALOGUE).stat().st_ino == (first / CATALOGUE).stat().st_ino  # linked, not copied
    loaded = Model.load(shop)
    assert set(loaded.parts) == {"Pets", "Home"}
    assert loaded.parts["Pets"] is loaded.parts["Home"]
    assert lists(loaded) == before
    # a part of a part: what was kept once can be kept again
    publish(shop, whole, None, lambda draft, _: again(second, draft))
    last = Model.load(shop)
    assert set(last.parts) == {"Garden"}
    assert last.recommend("user 003", categories=["Garden"])[c.TARGET_ID].len() == 10


def lists(model):
    """What each part is asked for on its own: a feature is relative to the candidates, so mixed lists may differ."""
    asked = (["Pets", "Home"], ["Beauty", "Garden"])
    return [model.recommend("user 003", n=20, categories=names)[c.TARGET_ID].to_list() for names in asked]


def again(release, draft):
    take_over(release, draft)
    kept = take_over_part(release, read_routing(release).of("Pets"), draft, "again")
    return Routing(default=Route(ranker=RANKER), categories={"Garden": kept})


def test_a_release_without_a_ranker_is_refused(shop, whole):
    publish(shop, whole, Routing(default=Route()))
    with pytest.raises(ModelFolderError, match="names no ranker"):
        Model.load(shop)


def test_a_damaged_part_is_refused(shop, whole):
    first = Releases(shop.models).open_live()

    def write(draft, routing):
        take_over(first, draft)
        kept = take_over_part(first, read_routing(first).default, draft, "kept")
        (draft / "parts/kept" / CATALOGUE).unlink()
        (draft / "parts/kept" / CATALOGUE).write_text(json.dumps("no table"))
        return Routing(default=Route(ranker=RANKER), categories={"Pets": kept})

    publish(shop, whole, None, write)
    with pytest.raises(ModelFolderError, match=r"parts/kept: catalogue\.parquet cannot be read"):
        Model.load(shop)
