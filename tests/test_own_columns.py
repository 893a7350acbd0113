"""What a release keeps of the text columns that a shop gave its items beside those of every shop."""

import polars as pl
import pytest

from kuapin import columns as c
from kuapin.data.dataset import build_dataset
from kuapin.data.identity import with_event_ids
from kuapin.data.sql.items import ItemChange
from kuapin.manifest import Route, Routing
from kuapin.model import KEPT, Model
from kuapin.model_folder import Releases
from kuapin.pipeline.train import write_catalogue
from kuapin.ranking.growth import WEEK, Growth, GrowthConfig
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import RANKER
from kuapin.ranking.signals import SignalsConfig
from kuapin.serving.live import _knows
from kuapin.storefront import FOLDER
from kuapin.workspace import Shop
from tests import market
from tests.ranking.test_reasons import only_of


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Model:
    """Loaded from a release of a shop whose roses rise, and whose items have a shade each of a few."""
    items = market.items()
    rose = pl.col(c.TITLE).str.starts_with("rose")
    items = items.with_columns(
        row=pl.when(rose).then(pl.lit("red")).otherwise(pl.lit("blue")),
        shade=pl.concat_str(pl.lit("shade "), pl.int_range(pl.len()) % 24),
        seller=pl.lit("Ann, tel 020 7946 0958"),
        story=pl.concat_str(pl.lit("The story of "), c.ITEM_ID),
    )
    rows = []
    for row, (item, title) in enumerate(items.select(c.ITEM_ID, c.TITLE).rows()):
        for week in range(16):
            often = 10 if title.startswith("rose") and week >= 13 else 1
            rows += [(f"u{(7 * row + k) % 40}", item, week * WEEK + k, "purchase") for k in range(often)]
    log = pl.DataFrame(rows, schema=[c.USER_ID, c.ITEM_ID, c.TIMESTAMP, c.EVENT], orient="row")
    shop = Shop.init(tmp_path_factory.mktemp("own") / "shop")
    shop.store.write({"items": items, "interactions": with_event_ids(log)})
    data = build_dataset(items, log)
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
    assert frame.columns == [*(name for name in KEPT if name in market.items().columns), "row", "shade", "seller"]
    assert frame["seller"].unique().to_list() == ["Ann, tel [PHONE]"]


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
