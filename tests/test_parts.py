"""A release of several parts: each serves its categories, and a list is the best of what they say."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.data.dataset import build_catalogue, build_dataset
from kuapin.errors import ModelFolderError, UnknownIdError
from kuapin.manifest import Route, Routing, read_routing
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.pipeline.parts import in_order_of, keep_part, know_later, take_over
from kuapin.pipeline.train import Texts, write_catalogue
from kuapin.ranking.calibration import Calibration
from kuapin.ranking.ranker import fixed_ranker
from kuapin.ranking.recommender import RANKER, Recommender
from kuapin.ranking.routed import Routed, Served
from kuapin.ranking.signals import SignalsConfig
from kuapin.release_parts import CATALOGUE, LATER
from kuapin.retrieval.whitening import WHITENING, fit_whitening, save_whitening
from kuapin.workspace import Shop
from tests import market

CATEGORIES = ("Beauty", "Garden", "Home", "Pets")


@pytest.fixture(scope="module")
def whole() -> Model:
    return market.model()


@pytest.fixture(scope="module")
def routed(whole) -> Model:
    """The same market, its ``Pets`` served by a part that is all but sure of everything."""
    sure = Calibration(1e-3, 6.0, np.zeros(4))
    part = replace(whole.recommender, calibration=sure, strangers=sure)
    recommender = Routed.of(
        whole.recommender, [Served.of(part, whole.catalogue, ["Pets"], "parts/sure", whole.catalogue)]
    )
    return Model("r2", recommender, whole.catalogue, whole.users, whole.histories)


def test_a_part_serves_its_categories_and_nothing_else(routed, whole):
    users = ["user 003", "stranger", "user 100"]
    mixed = routed.recommend(users, n=40, explain=True)
    assert mixed.group_by(c.USER_ID, maintain_order=True).len().rows() == [(user, 40) for user in users]
    assert mixed[c.RANK].to_list() == [*range(1, 41)] * 3
    assert (mixed[c.REASON].str.len_chars() > 0).all()
    top = mixed.filter(pl.col(c.RANK) <= 24)[c.TARGET_ID]
    assert top.str.starts_with("P-").all()  # all 24 of Pets, which the part is sure of, come first
    rest = mixed.filter(pl.col(c.RANK) > 24)
    alone = whole.recommend(users, n=16, categories=["Beauty", "Home", "Garden"], explain=True)
    same = [c.USER_ID, c.TARGET_ID, c.SCORE, c.REASON_CODE, c.REASON]
    assert rest.select(same).equals(alone.select(same))


def test_reasons_are_those_of_the_part(routed, whole):
    asked = {"n": 5, "categories": ["Pets"], "explain": True}
    for user in ("user 003", "user 050"):
        reasons = [model.recommend(user, **asked).select(c.TARGET_ID, c.REASON) for model in (routed, whole)]
        assert reasons[0].equals(reasons[1])


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


def test_many_blocks_of_users(routed, monkeypatch):
    one = routed.recommend(routed.users.ids, n=5)
    monkeypatch.setattr("kuapin.ranking.recommender.PROPOSED_AT_ONCE", 40)
    monkeypatch.setattr("kuapin.ranking.recommender.USERS_AT_ONCE", 16)
    blocks = routed.recommend(routed.users.ids, n=5)
    assert blocks[c.TARGET_ID].equals(one[c.TARGET_ID])


def narrow(recommender):
    """The same market read by three sources alone."""
    signals = recommender.signals.only(SignalsConfig(candidates=20, sources=("popularity", "adapted", "repeat")))
    return Recommender(
        signals,
        fixed_ranker(signals.names, len(signals.signals)),
        Calibration(1.0, 0.0, np.zeros(4)),
        Calibration(1.0, 0.0, np.zeros(4)),
    )


@pytest.mark.parametrize("default_is_narrow", [True, False])
def test_parts_that_read_different_sources(whole, default_is_narrow):
    parts = [narrow(whole.recommender), whole.recommender]
    default, other = parts if default_is_narrow else parts[::-1]
    recommender = Routed.of(default, [Served.of(other, whole.catalogue, ["Pets"], "parts/x", whole.catalogue)])
    model = Model("r3", recommender, whole.catalogue, whole.users, whole.histories)
    for asked in ({}, {"categories": ["Pets"]}, {"categories": ["Home"]}, {"deny": whole.catalogue.items.ids}):
        table = model.recommend(["user 003", "stranger"], n=5, explain=True, **asked)
        assert table.height == (0 if "deny" in asked else 10)
        assert (table[c.REASON].str.len_chars() > 0).all()
    pin = next(item for item in whole.catalogue.items.ids if item.startswith("P-"))
    widths = [ranked.features.shape[1] for items in (None, whole.catalogue.items.rows([pin]))
              for _, ranked in recommender.ranked(whole.histories.select(np.arange(3)), 5, items)]  # fmt: skip
    assert len(set(widths)) == 1  # what a rule asks for is joined to the rest


def test_an_item_that_moved_is_served_once(whole):
    old = build_catalogue(whole.catalogue.frame.with_columns(
        category=pl.when(pl.col("item_id") == "H-oak-lamp-small").then(pl.lit("Pets > bed")).otherwise("category")
    ))  # fmt: skip
    part = Served.of(whole.recommender, old, ["Pets"], "parts/old", whole.catalogue)
    model = Model("r4", Routed.of(whole.recommender, [part]), whole.catalogue, whole.users, whole.histories)
    assert model.recommend("user 003", n=96)[c.TARGET_ID].is_unique().all()


# On the disk


def texts_of(catalogue) -> Texts:
    visible = market.visible(build_dataset(catalogue.frame, market.log(n_users=2)))
    whitening = fit_whitening(visible.vectors)
    return Texts(None, visible.texts, visible.vectors, whitening, whitening.of(visible.vectors), market.NOTHING_DECIDED)


@pytest.fixture(scope="module")
def young() -> Model:
    """A market of 90 items, without a part of Pets."""
    items = market.items()
    log = market.log().filter(pl.col("item_id").is_in(items["item_id"][:90].implode()))
    return market.trained(build_dataset(items[:90], log))


@pytest.fixture
def shop(tmp_path, young) -> Shop:
    """With one release of the young market; the six last items came since."""
    shop = Shop.init(tmp_path / "shop")
    market.items().write_parquet(tmp_path / "items.parquet")
    market.log().write_parquet(tmp_path / "log.parquet")
    shop.import_files(items=tmp_path / "items.parquet", interactions=tmp_path / "log.parquet")
    publish(shop, lambda draft: written(young, draft))
    return shop


def written(model, draft):
    model.recommender.save(draft)
    write_catalogue(model.catalogue, draft)
    save_whitening(texts_of(model.catalogue).whitening, draft)
    return Routing(default=Route(ranker=RANKER))


def publish(shop, write):
    releases = Releases(shop.models)
    with releases.begin() as draft:
        routing = write(draft.path)
        releases.publish(draft, routing=routing, snapshot="s", fingerprint="f", config={}, metrics={})
    return releases.open_live()


def kept(release, catalogue, whole, name="kept"):
    """Writes what serves Pets and Home in a release into a draft whose default part is another model."""

    def write(draft):
        routing = written(whole, draft)
        route = keep_part(release, read_routing(release).of("Pets"), draft, name, catalogue, texts_of(catalogue))
        return Routing(default=routing.default, categories={"Pets": route, "Home": route})

    return write


def test_a_kept_part_knows_the_items_that_came_since(shop, whole):
    first = Releases(shop.models).open_live()
    before = Model.load(shop)
    assert len(before.catalogue) == 90
    second = publish(shop, kept(first, whole.catalogue, whole))
    inside = second / "parts/kept"
    assert (inside / CATALOGUE).stat().st_ino == (first / CATALOGUE).stat().st_ino  # linked, not copied
    assert pl.read_parquet(inside / LATER)[c.ITEM_ID].equals(whole.catalogue.items.ids[90:])
    after = Model.load(shop)
    assert len(after.catalogue) == 96
    pets = after.recommend("user 003", n=24, categories=["Pets"])[c.TARGET_ID]
    assert pets.len() == 24  # the six that came among them
    old = [item for item in pets if item in before.catalogue.items]
    assert old[:10] == before.recommend("user 003", n=10, categories=["Pets"])[c.TARGET_ID].to_list()
    garden = after.recommend("user 003", n=10, categories=["Garden"])[c.TARGET_ID]
    assert garden.equals(Model("r", whole.recommender, after.catalogue, after.users, after.histories).recommend(
        "user 003", n=10, categories=["Garden"])[c.TARGET_ID])  # fmt: skip

    third = publish(shop, kept(second, whole.catalogue, whole, "again"))  # what was kept once can be kept again
    assert Model.load(shop).recommend("user 003", n=24, categories=["Pets"])[c.TARGET_ID].equals(pets)
    assert (third / "parts/again" / CATALOGUE).stat().st_ino == (first / CATALOGUE).stat().st_ino


def test_a_whole_release_is_taken_over(shop, young, whole):
    first = Releases(shop.models).open_live()

    def write(draft):
        take_over(first, draft)
        know_later(draft, whole.catalogue, texts_of(whole.catalogue))
        return read_routing(first)

    before = Model.load(shop).recommend("user 003", n=10, categories=["Garden"])[c.TARGET_ID]
    publish(shop, write)
    after = Model.load(shop)
    assert after.recommend("user 003", n=10, categories=["Garden"])[c.TARGET_ID].equals(before)
    assert len(after.catalogue) == 96
    assert after.recommend("user 003", n=96)[c.TARGET_ID].n_unique() == 96


def test_items_that_are_gone_stay_in_their_rows_and_are_not_available(whole):
    data = market.dataset()
    frame = data.catalogue.frame
    left = build_dataset(frame.filter(pl.col("item_id") != frame["item_id"][3]).reverse(), market.log())
    ordered = in_order_of(left, build_catalogue(frame[:50]))
    assert ordered.catalogue.items.ids[:50].equals(frame["item_id"][:50])
    assert not ordered.catalogue.available[3]
    assert ordered.catalogue.available.sum() == 95
    ids = [left.catalogue.items.ids, ordered.catalogue.items.ids]
    items = [one.gather(data.histories.items).to_list() for one, data in zip(ids, (left, ordered), strict=True)]
    assert items[0] == items[1]


def test_parts_that_do_not_fit_are_refused(shop, whole, young):
    first = Releases(shop.models).open_live()
    publish(shop, kept(first, whole.catalogue, young))  # its default part lacks the six
    with pytest.raises(ModelFolderError, match="knows other items"):
        Model.load(shop)

    def reversed_(draft):
        return kept(first, build_catalogue(whole.catalogue.frame.reverse()), whole)(draft)

    with pytest.raises(ModelFolderError, match="in another order"):
        publish(shop, reversed_)


def test_a_part_of_an_older_kuapin_takes_no_new_items(shop, young, whole):
    first = publish(shop, lambda draft: [written(young, draft), (draft / WHITENING).unlink()][0])
    with pytest.raises(ModelFolderError, match="takes no new items"):
        publish(shop, kept(first, whole.catalogue, whole))


def test_a_release_without_a_ranker_is_refused(shop, young):
    publish(shop, lambda draft: [written(young, draft), Routing(default=Route())][1])
    with pytest.raises(ModelFolderError, match="names no ranker"):
        Model.load(shop)


def test_a_damaged_part_is_refused(shop, whole):
    first = Releases(shop.models).open_live()

    def write(draft):
        routing = kept(first, whole.catalogue, whole)(draft)
        (draft / "parts/kept" / LATER).write_text("no table")
        return routing

    publish(shop, write)
    with pytest.raises(ModelFolderError, match=r"parts/kept: later\.parquet cannot be read"):
        Model.load(shop)
