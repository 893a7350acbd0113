"""What a release keeps of the text columns that a shop gave its items beside those of every shop."""

import json

import polars as pl
import pytest

from kuapin import columns as c
from kuapin.config import Config
from kuapin.data.dataset import build_dataset
from kuapin.data.identity import with_event_ids
from kuapin.data.sql.items import ItemChange
from kuapin.manifest import Route, Routing
from kuapin.model import KEPT, Model
from kuapin.model_folder import ATTRIBUTES, Releases
from kuapin.pipeline.parts import in_order_of
from kuapin.pipeline.train import tables_of, with_attributes_alone, write_catalogue
from kuapin.ranking.growth import WEEK, Growth, GrowthConfig
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import RANKER
from kuapin.ranking.signals import SignalsConfig
from kuapin.serving.live import _knows
from kuapin.storefront import FOLDER
from kuapin.text.template import TextConfig
from kuapin.workspace import Shop
from tests import market
from tests.ranking.test_reasons import only_of


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    """Its roses rise, and its items have a shade each of a few."""
    items = market.items()
    rose = pl.col(c.TITLE).str.starts_with("rose")
    items = items.with_columns(
        row=pl.when(rose).then(pl.lit("red")).otherwise(pl.lit("blue")),
        shade=pl.concat_str(pl.lit("shade "), pl.int_range(pl.len()) % 24),
        finish=pl.lit("matt, tel 020 7946 0958"),
        style=pl.lit("x" * 80),
        fit=pl.lit("x" * 81),
        seller=pl.lit("Jane Doe"),
        Material=pl.concat_str(pl.lit("unique "), c.ITEM_ID),
        story=pl.concat_str(pl.lit("The story of "), c.ITEM_ID),
    )
    rows = []
    for row, (item, title) in enumerate(items.select(c.ITEM_ID, c.TITLE).rows()):
        for week in range(16):
            often = 10 if title.startswith("rose") and week >= 13 else 1
            rows += [(f"u{(7 * row + k) % 40}", item, week * WEEK + k, "purchase") for k in range(often)]
    log = pl.DataFrame(rows, schema=[c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT], orient="row")
    shop = Shop.init(tmp_path_factory.mktemp("own") / "shop")
    (shop.path / "kuapin.toml").write_text(f"[releases]\nattributes = {json.dumps([*ATTRIBUTES, 'ROW'])}")
    shop.store.write({"items": items, "interactions": with_event_ids(log)})
    return shop


@pytest.fixture(scope="module")
def model(shop) -> Model:
    """Loaded from a release of the shop."""
    _, data = tables_of(shop)
    fitted = fit_live(
        market.visible(data),
        signals=SignalsConfig(candidates=20, sources=("graph", "popularity")),
        ranking=RankingConfig(trees={"rounds": 2}),
        live=LiveConfig(users=40, pruned=False),
    )
    releases = Releases(shop.models)
    with releases.begin() as draft:
        only_of(fitted, "graph", 1.0).save(draft.path)
        write_catalogue(data.catalogue, draft.path)
        Growth(None, GrowthConfig()).save(draft.path / FOLDER / "trends")
        routing = Routing(default=Route(ranker=RANKER))
        releases.publish(draft, routing=routing, snapshot="s", fingerprint="f", config={}, metrics={})
    return Model.load(shop)


def test_of_own_columns_a_release_keeps_what_several_items_share_masked(model):
    frame = model.catalogue.frame
    assert frame.columns == [
        *(name for name in KEPT if name in market.items().columns),
        "row",
        "shade",
        "finish",
        "style",
    ]
    assert frame["finish"].unique().to_list() == ["matt, tel [PHONE]"]


def test_a_column_that_nobody_names_is_in_no_file_of_a_release(model, shop):
    """Nor in the knowledge graph."""
    files = [path.read_bytes() for path in (shop.models / model.release).rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not any(b"Jane Doe" in content for content in files)
    graph = model.recommender.signals.signals["graph"].source
    assert set(graph.knowledge.entities) == {"brand", "category", "shade"}


def test_what_the_template_of_the_texts_names_is_kept_too(shop):
    frame = with_attributes_alone(shop.dataset(), Config(), TextConfig(template="{title} {seller}")).catalogue.frame
    assert {"seller", "shade", "Material", "fit"} <= set(frame.columns)
    assert "row" not in frame.columns


def test_items_that_went_bring_back_no_column(shop):
    whole = shop.dataset()
    now = build_dataset(whole.catalogue.frame[1:].drop("seller", "brand"), shop.store.read(c.INTERACTIONS).head(0))
    frame = in_order_of(now, whole.catalogue).catalogue.frame
    assert frame.height == len(whole.catalogue)
    assert "seller" not in frame.columns
    assert {"brand", "shade"} <= set(frame.columns)


def test_an_attribute_rises_in_a_loaded_model(model):
    rising = model.recommend("stranger", n=10, surface="trends").filter(kind="attribute")
    assert rising[c.TARGET_ID].to_list() == ["row: red"]


def test_a_loaded_model_says_that_a_path_leads_through_an_attribute(model):
    table = model.recommend_visitor(["H-oak-lamp-small"], n=20, explain=True).filter(reason_code="attribute")
    assert table[c.REASON].str.contains("shade").any()


def test_an_item_that_was_put_with_columns_of_its_own_is_known(model):
    item = market.items().row(0, named=True)
    own = {"row": "blue", "shade": "shade 0", "seller": "Ann, tel 020 7946 0958", "story": f"of {item[c.ITEM_ID]}"}
    put = {name: value for name, value in (item | own).items() if name != c.ITEM_ID}
    assert _knows(model, ItemChange(1, item[c.ITEM_ID], put, deleted=False))
    assert not _knows(model, ItemChange(1, item[c.ITEM_ID], put | {c.BRAND: "another"}, deleted=False))
