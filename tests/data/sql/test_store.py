"""What every database must do, SQLite and PostgreSQL alike."""

import threading
import time

import polars as pl
import pytest
import sqlalchemy as sa

from kuapin.data.sql.database import open_database
from kuapin.data.sql.erasures import Erasures
from kuapin.data.sql.events import EventStore, GroupCommit, Written
from kuapin.data.sql.items import ItemStore
from kuapin.data.sql.keys import Keyring
from kuapin.data.sql.schema import METADATA
from kuapin.errors import InputError, StoreError, UnknownIdError

ODD = "a/b 跨品\0\\0 \\ \U0001f600 'x' %s"


def event(number, user="u1", **more):
    return {
        "event_id": f"e{number}",
        "user_id": user,
        "item_id": "i1",
        "timestamp": 100 + number,
        "event": "view",
    } | more


def test_an_event_that_is_sent_twice_is_one(database):
    store = EventStore(database)
    assert store.add([[event(1), event(2)], [event(2), event(3)]]) == [Written(2, 0), Written(1, 1)]
    assert store.add([[event(3, item_id="other")]]) == [Written(0, 1)]
    assert store.since(0, ["u1"]) == {"u1": [("i1", 101, "view"), ("i1", 102, "view"), ("i1", 103, "view")]}


def test_the_number_of_an_event_that_went_is_given_to_no_other(database):
    store = EventStore(database)
    store.add([[event(1), event(2, user="u2")]])
    position = store.position()
    store.erase("u2")
    store.add([[event(3)]])
    assert store.since(position, ["u1"]) == {"u1": [("i1", 103, "view")]}


def test_events_are_found_by_person_position_and_session(database):
    store = EventStore(database)
    store.add(
        [
            [
                event(2),
                event(1, user="u2", session_id="s"),
                event(3, event="impression"),
                event(4, item_id=None, event="search"),
            ]
        ]
    )
    position = store.position()
    store.add([[event(0, event="purchase")]])
    assert store.since(0, ["u1", "u2", "none"]) == {
        "u1": [("i1", 100, "purchase"), ("i1", 102, "view")],
        "u2": [("i1", 101, "view")],
    }
    assert store.since(position, ["u1", "u2"]) == {"u1": [("i1", 100, "purchase")]}
    assert store.of_sessions(["s"]) == {"s": [("i1", 101, "view")]}
    assert store.table(["event_id"], position)["event_id"].to_list() == ["e2", "e1", "e3", "e4"]


def test_ids_of_any_characters_come_back_as_they_went(database):
    store = EventStore(database)
    store.add([[event(1, user=ODD, event_id=ODD, item_id=ODD, text=ODD)]])
    assert store.since(0, [ODD]) == {ODD: [(ODD, 101, "view")]}
    row = store.table().row(0, named=True)
    assert [row[name] for name in ("user_id", "event_id", "item_id", "text")] == [ODD] * 4
    assert store.add([[event(2, event_id=ODD)]]) == [Written(0, 1)]
    assert store.erase(ODD) == 1


def test_a_batch_with_a_fault_leaves_nothing_behind(database):
    store = EventStore(database)
    with pytest.raises(StoreError, match="Nothing was written"):
        store.add([[event(1), event(2, timestamp=None)]])
    assert store.position() == 0
    assert store.table().height == 0


def test_writers_in_many_threads_lose_nothing_and_numbers_are_seen_in_order(database):
    """A reader that has seen a number has seen all lower ones: else what came later would be passed over."""
    stores = [EventStore(database) for _ in range(4)]
    missed, stop = [], threading.Event()

    def write(place):
        for number in range(25):
            stores[place].add([[event(100 * place + number)]])

    def read():
        seen: set[str] = set()
        position = 0
        while not stop.is_set():
            now = stores[0].position()
            upto = set(stores[0].table(["event_id"], now)["event_id"])
            missed.extend(set(stores[0].table(["event_id"], position)["event_id"]) - seen)
            seen, position = upto, now

    threads = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    reader = threading.Thread(target=read)
    for thread in [reader, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    reader.join()
    assert missed == []
    assert stores[0].table().height == 100


def test_waiting_batches_are_committed_together(database):
    store = EventStore(database)
    calls = []
    add = store.add
    store.add = lambda batches: (calls.append(len(batches)), time.sleep(0.05), add(batches))[-1]
    writer = GroupCommit(store)
    futures = [writer.put([event(number)]) for number in range(40)]
    assert [future.result(20) for future in futures] == [Written(1, 0)] * 40
    assert len(calls) < 10
    writer.close()
    assert store.table().height == 40


def test_a_failed_group_is_told_to_everybody_and_the_next_is_written(database):
    writer = GroupCommit(EventStore(database))
    with pytest.raises(StoreError, match="Nothing was written"):
        writer.put([event(1, timestamp=None)]).result(20)
    assert writer.put([event(2)]).result(20) == Written(1, 0)
    writer.close()


def test_too_many_batches_are_refused(database):
    store = EventStore(database)
    hold = threading.Event()
    add = store.add
    store.add = lambda batches: (hold.wait(20), add(batches))[-1]
    writer = GroupCommit(store, waiting=2)
    first = writer.put([event(0)])
    while writer.waiting:
        time.sleep(0.01)
    more = [writer.put([event(1)]), writer.put([event(2)])]
    with pytest.raises(StoreError, match="2 may"):
        writer.put([event(3)])
    hold.set()
    assert [one.result(20).added for one in (first, *more)] == [1, 1, 1]
    writer.close()


def test_old_events_go(database):
    store = EventStore(database)
    store.add([[event(1)]])
    assert store.drop_older(int(time.time()) - 100) == 0
    assert store.drop_older(int(time.time()) + 100) == 1
    assert store.table().height == 0


def test_the_last_word_on_an_item_counts(database):
    store = ItemStore(database)
    assert [
        store.put("i1", {"title": "a", "price": 2}),
        store.put(ODD, {"title": ODD}),
        store.put("i1", {"title": "b"}),
    ] == [1, 2, 3]
    assert [(one.item_id, dict(one.fields)) for one in store.since(1)] == [
        (ODD, {"title": ODD}),
        ("i1", {"title": "b"}),
    ]
    assert store.delete("i9") == 4
    table = pl.DataFrame({"item_id": ["i1", "i9", "i3"], "title": ["x", "y", "z"], "price": [1.0, 2.0, 3.0]})
    after = store.apply(table)
    assert after["item_id"].to_list() == ["i1", "i9", "i3", ODD]
    assert after["title"].to_list() == ["b", "y", "z", ODD]
    assert after["price"].to_list() == [None, 2.0, 3.0, None]
    assert after["available"].to_list() == [None, False, None, None]


def test_opening_again_changes_nothing_and_the_migrations_make_what_the_code_says(url):
    first = open_database(url)
    EventStore(first).add([[event(1)]])
    first.close()
    again = open_database(url)
    assert EventStore(again).position() == 1
    found = sa.inspect(again.engine)
    for table in METADATA.tables.values():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert columns == {column.name: column.nullable for column in table.columns}
        assert {index["name"] for index in found.get_indexes(table.name)} >= {index.name for index in table.indexes}
    again.close()


def test_a_database_of_a_newer_kuapin_is_refused(url):
    database = open_database(url)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(StoreError, match="another version of Kuapin"):
        open_database(url)


@pytest.mark.parametrize("url_", ["mysql://x", "nothing", "sqlite+none://x"])
def test_a_url_that_cannot_be_used_is_named(url_):
    with pytest.raises(InputError, match="database"):
        open_database(url_)


def test_a_server_that_does_not_answer_is_said_and_its_words_are_in_the_log(caplog):
    with pytest.raises(StoreError, match="did not do it") as told:
        open_database("postgresql+psycopg://app@127.0.0.1:1/none?connect_timeout=1")
    assert "127.0.0.1" not in str(told.value)
    assert "127.0.0.1" in caplog.text


def test_keys_open_until_they_end(database):
    ring = Keyring(database)
    key, text = ring.create("shop", ["write", "recommend"], rate=5)
    assert ring.check(text) == key
    assert (key.scopes, key.rate) == (("recommend", "write"), 5)
    assert [ring.check(text[:-1] + other) for other in "AB" if not text.endswith(other)].count(None) >= 1
    assert ring.check("kuapin_000000000000_" + "a" * 43) is None
    assert ring.check("nonsense") is None
    new, other = ring.rotate(key.key_id, overlap_s=100)
    assert (ring.check(text).key_id, ring.check(other).scopes) == (key.key_id, key.scopes)
    ring.revoke(key.key_id)
    assert ring.check(text) is None
    assert ring.check(other) == new
    ended, gone = ring.create("old", ["write"], expires_at=int(time.time()) - 1)
    assert ring.check(gone) is None
    with pytest.raises(InputError, match="not in force"):
        ring.rotate(ended.key_id, 0)
    with pytest.raises(UnknownIdError, match="no key 'x'"):
        ring.revoke("x")
    with database.reading() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM api_keys").all())
    assert text.rsplit("_", 1)[-1] not in stored


def test_file_and_database_of_tombstones_are_brought_together(database, tmp_path):
    (tmp_path / "shop").mkdir()
    one = Erasures(tmp_path / "shop", database)
    erased = one.add("u1")
    (tmp_path / "shop" / "erasures.jsonl").unlink()
    Erasures(tmp_path / "shop", database).synchronise()
    assert list(Erasures(tmp_path / "shop").all()) == [erased.person]
    with database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM erasures")
    Erasures(tmp_path / "shop", database).synchronise()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM erasures").scalar() == 1
    log = pl.DataFrame({"user_id": ["u1", "u2", "u1"], "timestamp": [1, 1, erased.erased_at + 1]})
    assert one.keep(log)["timestamp"].to_list() == [1, erased.erased_at + 1]
    assert one.keep(log.drop("timestamp"))["user_id"].to_list() == ["u2"]
    links = pl.DataFrame({"head": ["u1", "u2", "u2"], "relation": ["knows"] * 3, "tail": ["u2", "u1", "u3"]})
    assert one.keep(links).rows() == [("u2", "knows", "u3")]
