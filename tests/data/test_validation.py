"""The rules: what is rejected, what is left out and counted, what is only remarked."""

import datetime as dt

import polars as pl
import pytest

from kuapin.data.faults import Action
from kuapin.data.rules import OF_ITEMS
from kuapin.data.validation import validate
from kuapin.errors import InputError

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
T = 1_790_000_000
ITEMS = {"item_id": ["a", "b"], "title": ["x", "y"], "category": ["A > C", "B"]}
LOG = {"user_id": ["u", "v"], "item_id": ["a", "b"], "timestamp": [T, T + 1], "event": ["view", "purchase"]}


def check(*, items=None, log=None, **tables):
    frames = {"items": pl.DataFrame(ITEMS | (items or {}), strict=False)}
    if log is not None:
        frames["interactions"] = pl.DataFrame(LOG | log, strict=False)
    frames |= {table: pl.DataFrame(values, strict=False) for table, values in tables.items()}
    return validate(frames, {table: f"{table}.csv" for table in frames}, now=NOW)


def only(validation):
    (fault,) = validation.faults
    return fault


def test_good_tables_have_no_fault_and_declared_dtypes():
    validation = check(log={"position": ["1", "2"]})
    assert validation.faults == ()
    assert validation.tables["interactions"].schema["timestamp"] == pl.Int64
    assert validation.tables["interactions"].schema["position"] == pl.Int64


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"items": {"item_id": [None, "b"]}}, r"items\.csv row 1: item_id: this required value is missing"),
        ({"items": {"item_id": ["", "b"]}}, r"items\.csv row 1: item_id: this required value is missing"),
        ({"items": {"item_id": ["a", "a"]}}, r"items\.csv row 2: item_id is 'a'; this id stands in an earlier row too"),
        ({"items": {"price": [1, -3]}}, r"items\.csv row 2: price is -3; price is at least 0"),
        (
            {"items": {"price": ["1", "1e99"]}},
            r"items\.csv row 2: price is '1e99'; price is at least 0 and at most 1e\+12",
        ),
        ({"items": {"price": ["1", "cheap"]}}, r"items\.csv row 2: price is 'cheap'; a finite number was expected"),
        ({"items": {"price": [1, float("inf")]}}, r"items\.csv row 2: price is inf; a finite number was expected"),
        ({"items": {"available": ["yes", "perhaps"]}}, r"row 2: available is 'perhaps'; true or false"),
        (
            {"log": {"timestamp": [T, 12]}},
            r"interactions\.csv row 2: timestamp is 12; read as unix seconds, this is 1970-01-01; times lie between",
        ),
        (
            {"log": {"timestamp": ["20260901", "20260902"]}},
            r"timestamp is '20260901'; read as unix seconds, this is 1970-08-23 \(a date is written 2026-09-01\); "
            r"times lie between 1990-01-01 and 2026-11-24\. Times are unix seconds, or ISO 8601: 2026-11-23, ",
        ),
        ({"log": {"timestamp": [T, 20260901120000]}}, r"beyond the calendar \(a date is written 2026-09-01\); times"),
        ({"log": {"timestamp": ["1970-08-23", "2026-01-01"]}}, r"timestamp is '1970-08-23'; times lie between"),
        ({"log": {"timestamp": [T, T + 10**8]}}, r"this is 2029-11-\d\d; times lie between"),
        ({"log": {"timestamp": [T * 1000, T * 1000]}}, r"row 1: timestamp is \d+; this is unix time in milliseconds"),
        ({"log": {"timestamp": [T * 10**6, T * 10**6]}}, "unix time in microseconds"),
        ({"log": {"timestamp": [str(T), "2026-01-01"]}}, "some rows hold unix seconds and some ISO 8601"),
        (
            {"log": {"timestamp": ["yesterday", "2026-01-01"]}},
            "timestamp is 'yesterday'; this is no time. Times are unix seconds, or ISO 8601: 2026-11-23, ",
        ),
        (
            {"log": {"event": ["view", "Buy"]}},
            r"interactions\.csv row 2: event is 'Buy'; an event is one of view, click",
        ),
        ({"log": {"event": ["view", "Purchases"]}}, "Did you mean purchase"),
        ({"log": {"item_id": ["y", "z"]}}, r"row 1: item_id is 'y'; none of the items of this table is known"),
        ({"log": {"position": [1, -1]}}, "position is -1; position is at least 0"),
        ({"log": {"propensity": [1, 2]}}, "propensity is at least 0 and at most 1"),
        ({"users": {"user_id": ["u", "u"]}}, r"users\.csv row 2: user_id is 'u'; this id stands"),
        ({"users": {"age": [3]}}, r"users\.csv: user_id: this required column is missing; age came"),
        ({"users": {"User ID": ["u"]}}, r"Rename User ID to user_id\?"),
        ({"users": {"user_id": []}}, r"users\.csv: an empty table"),
        ({"campaigns": {"campaign_id": ["1"], "title": [None]}}, r"campaigns\.csv row 1: title: this required value"),
        (
            {"campaigns": {"campaign_id": ["1"], "title": ["t"], "start": ["2026-02-01"], "end": ["2026-01-01"]}},
            "a campaign ends after it starts",
        ),
        ({"relations": {"head": ["a"], "relation": [None], "tail": ["b"]}}, "row 1: relation: this required value"),
        ({"labels": {"item_id": ["a"], "task": ["t"]}}, r"labels\.csv: label: this required column is missing"),
    ],
)
def test_rejected(tables, message):
    validation = check(**tables)
    with pytest.raises(InputError, match=message) as caught:
        validation.require()
    assert "\n" not in str(caught.value)


def test_a_rejected_table_is_not_kept_and_all_faults_are_told():
    validation = check(items={"price": [-1, -2], "available": ["p", "q"]}, users={"user_id": ["u"]})
    assert set(validation.tables) == {"users"}
    assert [(fault.column, fault.count, fault.rows) for fault in validation.of(Action.REJECTED)] == [
        ("price", 2, (1, 2)),
        ("available", 2, (1, 2)),
    ]
    with pytest.raises(InputError, match=r"\(and 1 more reason to reject these files\)"):
        validation.require()


@pytest.mark.parametrize(
    ("log", "rule", "rows"),
    [
        ({"item_id": ["a", "z"]}, "unknown item", (2,)),
        ({"item_id": [None, "b"]}, "null item", (1,)),
        ({"user_id": ["u", None]}, "null user", (2,)),
        ({"event_id": ["e", "e"]}, "repeated event", (2,)),
    ],
)
def test_left_out_and_counted(log, rule, rows):
    validation = check(log=log)
    fault = validation.of(Action.LEFT_OUT)[0]
    assert (fault.rule, fault.count, fault.rows) == (rule, 1, rows)
    assert validation.left_out == 1
    assert validation.tables["interactions"].height == 1
    validation.require()


def test_a_row_is_left_out_for_one_reason_only():
    validation = check(log={"user_id": [None, "v"], "item_id": ["z", "b"]})
    assert validation.left_out == 1


def test_searches_and_redemptions_of_a_campaign_need_no_item():
    validation = check(
        log={
            "event": ["search", "redeem"],
            "item_id": [None, None],
            "query": ["tea", None],
            "campaign_id": [None, "1"],
        },
        campaigns={"campaign_id": ["1"], "title": ["t"]},
    )
    assert validation.left_out == 0
    assert validation.tables["interactions"].height == 2


def test_items_of_earlier_imports_are_known():
    log = {"interactions": pl.DataFrame(LOG)}
    assert validate(log, known_items=pl.DataFrame({"item_id": ["a", "b"]}), now=NOW).faults == ()
    with pytest.raises(InputError, match="the shop has no items yet"):
        validate(log, now=NOW).require()


@pytest.mark.parametrize(
    ("tables", "rule"),
    [
        ({"items": {"title": ["x", "  "]}}, "empty title"),
        ({"items": {"category": [None, "B"]}}, "empty category"),
        ({"items": {"category": ["A > C", "A"]}}, "one category"),
        ({"items": {"category": [None, None]}}, "no categories"),
        ({"log": {"user_id": ["u", "u"]}}, "one user"),
        ({"log": {"timestamp": [None, None]}}, "no times"),
        ({"log": {"timestamp": [T, None]}}, "missing time"),
        ({"log": {"campaign_id": ["9", None]}}, "unknown campaign"),
        ({"campaigns": {"campaign_id": ["1"], "title": ["t"], "item_ids": ["a|z"]}}, "unknown item"),
    ],
)
def test_warnings_keep_every_row(tables, rule):
    validation = check(**tables)
    fault = only(validation)
    assert (fault.rule, fault.action) == (rule, Action.WARNING)
    assert all(
        frame.height == len(next(iter(({"items": ITEMS, "interactions": LOG}.get(name) or tables[name]).values())))
        for name, frame in validation.tables.items()
    )


def test_a_missing_title_column_is_a_warning():
    validation = validate({"items": pl.DataFrame({"item_id": ["a"], "colour": ["red"]})}, now=NOW)
    assert {fault.rule for fault in validation.faults} == {"no titles", "no categories"}
    assert validation.tables["items"]["colour"].to_list() == ["red"]


def test_campaigns_for_what_is_not_in_the_shop_are_remarked_on():
    campaigns = {
        "campaign_id": ["1", "2", "3", "4", "5"],
        "title": ["t"] * 5,
        "item_ids": ["z", "a", None, None, None],
        "category": [None, "Toys", "A > C", "A", None],
        "brand": [None, None, None, "Oka", "Oka"],
    }
    validation = check(items={"category": ["A > C > D", "B"]}, campaigns=campaigns)
    told = {(one.rule, one.column): one.rows for one in validation.of(Action.WARNING)}
    assert told == {
        ("unknown item", "item_ids"): (1,),
        ("unknown target", "category"): (2,),
        ("unknown target", "brand"): (4, 5),
        ("no known target", "campaign_id"): (1, 5),
    }
    assert validation.tables["campaigns"].height == 5
    known = pl.DataFrame({"item_id": ["a"], "category": ["Toys > Bears"], "brand": ["Oka"]})
    later = validate({"campaigns": pl.DataFrame(campaigns)}, known_items=known, now=NOW)
    assert ("unknown target", "brand") not in {(one.rule, one.column) for one in later.faults}
    nothing = check(campaigns={"campaign_id": ["1"], "title": ["t"], "item_ids": [""], "brand": [" "]})
    assert only(nothing).rule == "no target"


@pytest.mark.parametrize("relation", OF_ITEMS)
@pytest.mark.parametrize("end", ["head", "tail"])
def test_relations_to_unknown_items_are_kept_and_told(relation, end):
    row = {"head": ["a", "a"], "relation": [relation] * 2, "tail": ["b", "b"]} | {end: ["z", "b"]}
    validation = check(relations=row)
    fault = only(validation)
    assert (fault.rule, fault.action, fault.column, fault.rows) == ("unknown item", Action.WARNING, end, (1,))
    assert validation.tables["relations"].height == 2


def test_a_relation_to_something_else_is_no_fault():
    assert check(relations={"head": ["a"], "relation": ["part_of"], "tail": ["a set"]}).faults == ()


def test_labels_of_unknown_items_are_left_out():
    validation = check(labels={"item_id": ["a", "z"], "task": ["t", "t"], "label": [1, 2]})
    assert validation.left_out == 1
    assert validation.tables["labels"]["label"].to_list() == ["1"]


def test_the_first_row_counts_where_a_source_repeats_ids_and_rows_keep_their_numbers():
    items = pl.DataFrame({"item_id": ["a", "a", "b", None], "title": ["1", "2", "3", "4"], "category": list("AABB")})
    validation = validate({"items": items}, first_counts={"items"}, now=NOW)
    repeated, null = sorted(validation.faults, key=lambda fault: fault.rows)
    assert (repeated.rule, repeated.action, repeated.rows) == ("repeated id", Action.LEFT_OUT, (2,))
    assert (null.rule, null.rows) == ("null id", (4,))


def test_messages_name_the_column_as_the_file_spells_it_and_shorten_values():
    frame = pl.DataFrame({"item_id": ["a"], "price": ["p" * 1000]})
    validation = validate({"items": frame}, {"items": "meta.json"}, names={"items": {"price": "listPrice"}}, now=NOW)
    with pytest.raises(InputError, match=r"meta\.json row 1: listPrice is 'ppp") as caught:
        validation.require()
    assert len(str(caught.value)) < 300
