"""All that a service wrote, out of one database and into another, of either kind."""

import json
import time

import polars as pl
import pytest
import sqlalchemy as sa

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.data.sql import transfer
from kuapin.data.sql.database import open_database
from kuapin.data.sql.erasures import Erasures
from kuapin.data.sql.events import EventStore
from kuapin.data.sql.experiments import ExperimentStore, Terms
from kuapin.data.sql.items import ItemStore
from kuapin.data.sql.keys import Keyring
from kuapin.data.sql.schema import METADATA
from kuapin.data.sql.transfer import AT_ONCE, read_store, write_store
from kuapin.errors import InputError, StoreError
from kuapin.workspace import Shop

ODD = "a/b 跨品\0\\0 \\ \U0001f600 'x' %s"


def event(number, user="u1", **more):
    row = {"event_id": f"e{number}", "user_id": user, "item_id": "i1", "timestamp": 100 + number, "event": "view"}
    return row | more


def content(database):
    with database.reading() as connection:
        return {table.name: connection.execute(sa.select(table)).all() for table in METADATA.sorted_tables}


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


@pytest.fixture
def filled(tmp_path, shop):
    """A database with something in every table."""
    database = open_database(f"sqlite:///{tmp_path / 'filled.sqlite'}")
    store = EventStore(database)
    store.add([[event(1), event(2, user=ODD, event_id=ODD, text=ODD, value=1.5, propensity=0.25)]])
    store.add([[event(3, "gone")]])
    store.erase("gone")
    store.add([[event(4, event="impression", ranking_id="r", position=3, surface="products", release="v1")]])
    items = ItemStore(database)
    items.put(ODD, {"title": ODD, "price": 2})
    items.delete("i9")
    database.key = Keyring(database).create("site", ["write"], rate=5)[1]
    database.one = ExperimentStore(database).start("a", "b", Terms(share=0.3))
    Erasures(shop, database).add("gone")
    yield database
    database.close()


def test_all_of_it_goes_from_one_database_to_another_and_back(filled, database, shop, tmp_path):
    rows = write_store(filled, tmp_path / "out", shop)
    assert rows == {"api_keys": 1, "erasures": 1, "experiments": 1, "interactions": 3, "item_changes": 2}
    assert read_store(tmp_path / "out", database, shop) == rows
    assert {name: sorted(map(str, rows)) for name, rows in content(database).items()} == {
        name: sorted(map(str, rows)) for name, rows in content(filled).items()
    }
    write_store(database, tmp_path / "again", shop)
    for path in (tmp_path / "out").glob("*.parquet"):
        assert pl.read_parquet(path).equals(pl.read_parquet(tmp_path / "again" / path.name)), path.name
    assert Keyring(database).check(filled.key).name == "site"
    running = ExperimentStore(database).running()
    assert running == filled.one
    assert [running.takes(f"u{k}") for k in range(99)] == [filled.one.takes(f"u{k}") for k in range(99)]
    last = EventStore(database).position()
    EventStore(database).add([[event(5)]])  # numbers go on where they were
    assert EventStore(database).position() > last


def test_more_rows_than_one_step_takes(database, shop, tmp_path):
    EventStore(database).add([[event(number) for number in range(2 * AT_ONCE + 1)]])
    assert write_store(database, tmp_path / "out", shop)["interactions"] == 2 * AT_ONCE + 1
    other = open_database(f"sqlite:///{tmp_path / 'other.sqlite'}")
    read_store(tmp_path / "out", other, shop)
    assert EventStore(other).table().equals(EventStore(database).table())
    other.close()


def test_no_more_of_a_table_is_in_memory_than_a_file_holds(filled, database, shop, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "AT_ONCE", 10)
    monkeypatch.setattr(transfer, "IN_FILE", 20)
    EventStore(filled).add([[event(number) for number in range(10, 60)]])
    assert write_store(filled, tmp_path / "out", shop)["interactions"] == 53
    files = sorted((tmp_path / "out").glob("interactions*.parquet"))
    assert [pl.read_parquet(path).height for path in files] == [20, 13, 20]  # -1, -2, and the first
    assert read_store(tmp_path / "out", database, shop)["interactions"] == 53
    assert EventStore(database).table().equals(EventStore(filled).table())
    whole = files[1].read_bytes()
    for torn in (None, whole[:100] + bytes(1_000) + whole[1_100:]):
        files[1].unlink() if torn is None else files[1].write_bytes(torn)
        other = open_database(f"sqlite:///{tmp_path / 'other.sqlite'}")
        with pytest.raises(InputError, match="not whole"):
            read_store(tmp_path / "out", other, shop)
        assert not any(content(other).values())
        other.close()


def test_who_was_erased_since_comes_back_with_no_store(filled, database, shop, tmp_path):
    write_store(filled, tmp_path / "out", shop)
    Erasures(shop, filled).add(ODD)
    assert read_store(tmp_path / "out", database, shop)["interactions"] == 2
    assert EventStore(database).table()["user_id"].unique().to_list() == ["u1"]
    assert len(Erasures(shop, database).all()) == 2


def test_what_is_not_whole_or_of_another_or_comes_to_a_full_database_changes_nothing(filled, database, shop, tmp_path):
    folder = tmp_path / "out"
    write_store(filled, folder, shop)
    before = content(database)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(InputError, match="another privacy key"):
        read_store(folder, database, other)
    with pytest.raises(InputError, match=r"holds rows of \w+ already"):
        read_store(folder, filled, shop)
    whole = (folder / "interactions.parquet").read_bytes()
    for torn in (whole[:-20], None):
        if torn is None:
            pl.read_parquet(folder / "item_changes.parquet").head(1).write_parquet(folder / "item_changes.parquet")
            torn = whole
        (folder / "interactions.parquet").write_bytes(torn)
        with pytest.raises(InputError, match="not whole"):
            read_store(folder, database, shop)
    with pytest.raises(InputError, match="no store"):
        read_store(tmp_path / "none", database, shop)
    assert content(database) == before


def test_a_fault_in_the_middle_leaves_the_database_empty(filled, database, shop, tmp_path):
    folder = tmp_path / "out"
    write_store(filled, folder, shop)
    changes = pl.read_parquet(folder / "item_changes.parquet")
    changes.with_columns(pl.lit(None, pl.String).alias("fields")).write_parquet(folder / "item_changes.parquet")
    with pytest.raises(StoreError, match="Nothing was written"):
        read_store(folder, database, shop)
    assert not any(content(database).values())


def test_the_command_line_moves_a_shop_to_another_database(url, tmp_path, capfd, monkeypatch):
    shop = Shop.init(tmp_path / "shop")
    database = open_database(shop.service_database())
    EventStore(database).add([[event(1, timestamp=int(time.time()))]])
    database.close()
    folder = tmp_path / "out"
    assert run(app, ["export", str(shop.path), str(folder), "--store", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["rows"]["interactions"] == 1
    monkeypatch.setenv("KUAPIN_DATABASE", url)
    assert run(app, ["import", str(shop.path), "--store", str(folder), "--items", "x"]) == 2
    assert "read alone" in capfd.readouterr().err
    assert run(app, ["import", str(shop.path), "--store", str(folder)]) == 0
    assert "interactions 1 row" in capfd.readouterr().out
    assert Shop.open(shop.path).store.read("interactions")["event_id"].to_list() == ["e1"]
    assert run(app, ["import", str(shop.path), "--store", str(folder)]) == 2
