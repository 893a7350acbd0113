"""The contract of a store, and that a Parquet store survives what may go wrong while it writes."""

import errno
import multiprocessing
import os
from pathlib import Path

import polars as pl
import pytest

from kuapin.data.ledger import ImportedFile
from kuapin.data.merging import Change
from kuapin.data.store import MAX_PARTS, ParquetStore
from kuapin.errors import StoreError

ITEMS = pl.DataFrame({"item_id": ["a", "b"], "title": ["x", "y"], "price": [1.0, 2.0]})


def events(*ids):
    return pl.DataFrame({"user_id": ["u"] * len(ids), "item_id": ["a"] * len(ids), "event_id": list(ids)})


def entry(sha="0" * 64):
    return ImportedFile(
        sha256=sha, table="items", name="i.csv", format="plain", at="2026-11-23T00:00:00+00:00", rows=2, left_out=0
    )


@pytest.fixture
def store(tmp_path):
    return ParquetStore(tmp_path)


def test_an_empty_store_reads_as_empty_tables(store):
    assert store.read("items").columns == ["item_id"]
    assert store.read("interactions", ["event_id"]).height == 0
    assert store.files == ()
    assert store.snapshot.startswith("s0-")


def test_what_is_written_is_read_by_another_process(store):
    assert store.write({"items": ITEMS, "interactions": events("1", "2")}, [entry()]) == {
        "items": Change(added=2),
        "interactions": Change(added=2),
    }
    again = ParquetStore(store.folder)
    assert again.read("items").equals(ITEMS)
    assert again.read("items", ["price", "absent"]).columns == ["price"]
    assert again.files == (entry(),)
    assert again.snapshot == store.snapshot


def test_a_later_import_wins_row_by_row_and_column_by_column(store):
    store.write({"items": ITEMS})
    new = pl.DataFrame({"item_id": ["c", "b"], "price": [3.0, 9.0], "colour": ["red", "blue"]})
    assert store.write({"items": new}) == {"items": Change(added=1, replaced=1)}
    assert store.read("items").rows() == [("a", "x", 1.0, None), ("b", "y", 9.0, "blue"), ("c", None, 3.0, "red")]
    before = store.snapshot
    assert store.write({"items": new}) == {"items": Change(unchanged=2)}
    assert store.snapshot == before


def test_a_null_in_a_later_import_is_a_value(store):
    store.write({"items": ITEMS})
    new = pl.DataFrame({"item_id": ["a"], "price": [None]}, schema_overrides={"price": pl.Float64})
    assert store.write({"items": new}) == {"items": Change(replaced=1)}
    assert store.read("items")["price"].to_list() == [None, 2.0]


@pytest.mark.parametrize(("old", "new"), [("1.0", "1"), ("", None), ("a", "A"), (["a"], ["b"]), (["a"], None), (1, 2)])
def test_the_smallest_difference_counts(store, old, new):
    frame = pl.DataFrame({"campaign_id": ["c"], "title": ["t"], "x": [old]})
    store.write({"campaigns": frame})
    assert store.write({"campaigns": frame}) == {"campaigns": Change(unchanged=1)}
    changed = frame.with_columns(pl.Series("x", [new], dtype=frame.schema["x"]))
    assert store.write({"campaigns": changed}) == {"campaigns": Change(replaced=1)}
    assert store.read("campaigns")["x"].to_list() == [new]


def test_an_attribute_of_two_types_becomes_text(store):
    store.write({"items": pl.DataFrame({"item_id": ["a"], "size": [4]})})
    store.write({"items": pl.DataFrame({"item_id": ["b"], "size": ["XL"]})})
    assert store.read("items")["size"].to_list() == ["4", "XL"]


def test_events_are_appended_once_and_never_replaced(store):
    store.write({"interactions": events("1", "2")})
    assert store.write({"interactions": events("2", "3")}) == {"interactions": Change(added=1, unchanged=1)}
    assert store.read("interactions")["event_id"].to_list() == ["1", "2", "3"]


def test_many_small_imports_do_not_become_many_files(store):
    for number in range(MAX_PARTS + 3):
        store.write({"interactions": events(str(number))})
    assert store.read("interactions")["event_id"].to_list() == [str(n) for n in range(MAX_PARTS + 3)]
    assert len(list(store.folder.glob("*.parquet"))) <= MAX_PARTS


def test_relations_are_a_set_and_labels_of_an_item_are_exchanged(store):
    triple = pl.DataFrame({"head": ["a", "a"], "relation": ["r", "r"], "tail": ["b", "b"]})
    assert store.write({"relations": triple}) == {"relations": Change(added=1)}
    assert store.write({"relations": triple}) == {"relations": Change(unchanged=1)}
    tags = pl.DataFrame({"item_id": ["a", "a", "b"], "task": ["t"] * 3, "label": ["red", "wool", "silk"]})
    assert store.write({"labels": tags}) == {"labels": Change(added=3)}
    new = pl.DataFrame({"item_id": ["a"], "task": ["t"], "label": ["blue"]})
    assert store.write({"labels": new}) == {"labels": Change(added=1, replaced=2)}
    assert store.read("labels").sort("item_id").rows() == [("a", "t", "blue"), ("b", "t", "silk")]
    assert store.write({"labels": new}) == {"labels": Change(unchanged=1)}


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_crash_between_two_writes_leaves_the_old_tables(store, monkeypatch, fails_at):
    store.write({"items": ITEMS, "interactions": events("1")}, [entry()])
    before, calls, replace, fsync = store.snapshot, [], os.replace, os.fsync

    def failing_replace(*args, **kwargs):
        if fails_at == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(*args, **kwargs)

    def failing_fsync(handle):
        calls.append(handle)
        if fails_at == 1 and len(calls) == 2:  # the second table is being written
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "replace", failing_replace)
    monkeypatch.setattr(os, "fsync", failing_fsync)
    with pytest.raises(StoreError, match="No space left on device"):
        store.write(
            {"items": ITEMS[:1].with_columns(title=pl.lit("new")), "interactions": events("2")}, [entry("1" * 64)]
        )
    monkeypatch.undo()
    again = ParquetStore(store.folder)
    assert again.snapshot == before
    assert again.read("items").equals(ITEMS)
    assert again.read("interactions")["event_id"].to_list() == ["1"]
    assert again.files == (entry(),)
    assert sorted(path.name for path in store.folder.iterdir()) == [
        ".lock",
        "interactions-1.parquet",
        "items-1.parquet",
        "tables.json",
    ]


def test_ctrl_c_leaves_the_old_tables(store, monkeypatch):
    store.write({"items": ITEMS})

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write({"items": ITEMS.with_columns(price=pl.lit(7.0))})
    monkeypatch.undo()
    assert ParquetStore(store.folder).read("items").equals(ITEMS)
    assert store.write({"items": ITEMS}) == {"items": Change(unchanged=2)}


def test_damage_is_named(store):
    store.write({"items": ITEMS})
    (store.folder / "items-1.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"items-1\.parquet is missing or damaged"):
        store.read("items")
    (store.folder / "tables.json").write_text("{")
    with pytest.raises(StoreError, match=r"tables\.json is damaged"):
        store.read("items")
    (store.folder / "tables.json").write_text('{"format": 99}')
    with pytest.raises(StoreError, match="has format 99; this version of Kuapin reads up to 1"):
        store.read("items")


def _hold(folder: Path, held, release) -> None:
    with ParquetStore(folder).exclusive():
        held.set()
        release.wait(20)


def test_two_writers_do_not_interleave(store):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(store.folder, held, release))
    other.start()
    try:
        assert held.wait(20)
        with pytest.raises(StoreError, match=rf"Another process \(pid {other.pid}\) is working on the tables"):
            store.write({"items": ITEMS})
    finally:
        release.set()
        other.join(20)
    assert store.write({"items": ITEMS}) == {"items": Change(added=2)}
