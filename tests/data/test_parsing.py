"""Cells to dtypes, worked out by hand."""

import datetime as dt

import polars as pl
import pytest

from kuapin.data.parsing import attribute, is_mixed_time, parse
from kuapin.data.schema import Kind

NOON = 1_767_268_800  # 2026-01-01T12:00:00Z


@pytest.mark.parametrize(
    ("values", "kind", "expected", "bad"),
    [
        (["007", " x ", ""], Kind.ID, ["007", " x ", None], [False, False, False]),
        ([7, None, 2**40], Kind.ID, ["7", None, "1099511627776"], [False] * 3),
        ([7.0, float("nan"), 7.5], Kind.ID, ["7", None, None], [False, False, True]),
        ([None, None], Kind.ID, [None, None], [False, False]),
        ([1.5, None], Kind.TEXT, ["1.5", None], [False, False]),
        ([["A", "B"], None], Kind.PATH, ["A > B", None], [False, False]),
        ([["a", "b"], None], Kind.TEXT, ["a, b", None], [False, False]),
        (["1", " 2.5 ", "$3", "", "inf"], Kind.NUMBER, [1.0, 2.5, None, None, None], [False, False, True, False, True]),
        ([float("nan"), float("inf"), 2.0], Kind.NUMBER, [None, None, 2.0], [False, True, False]),
        (["1", "2.5", "x"], Kind.WHOLE, [1, None, None], [False, True, True]),
        (["Yes", "0", "maybe", None], Kind.FLAG, [True, False, None, None], [False, False, True, False]),
        ([1, 0, 2], Kind.FLAG, [True, False, None], [False, False, True]),
        ([True, None], Kind.FLAG, [True, None], [False, False]),
        ([["a", "b"], None], Kind.IDS, [["a", "b"], None], [False, False]),
        (
            ["a|b", '["a|b", 7]', "[x", None],
            Kind.IDS,
            [["a", "b"], ["a|b", "7"], None, None],
            [False, False, True, False],
        ),
        ([NOON, None], Kind.TIME, [NOON, None], [False, False]),
        ([NOON + 0.9, float("nan")], Kind.TIME, [NOON, None], [False, False]),
        ([str(NOON), f"{NOON}.5", "soon", ""], Kind.TIME, [NOON, NOON, None, None], [False, False, True, False]),
        ([dt.datetime(2026, 1, 1, 12)], Kind.TIME, [NOON], [False]),
        ([dt.date(2026, 1, 1)], Kind.TIME, [NOON - 43_200], [False]),
    ],
)
def test_parse(values, kind, expected, bad):
    read, unreadable = parse(pl.Series("x", values, strict=False), kind)
    assert read.to_list() == expected
    assert unreadable.to_list() == bad
    assert read.name == "x"


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01 12:00",
        "2026-01-01T12:00:00.999",
        "2026-01-01T13:00:00+01:00",
        "2026-01-01T06:30:00-0530",
        "2026-01-01T14:00+02",
        "2026-01-01 12:00:00 UTC",
        "2026-01-01 12:00UTC",
    ],
)
def test_iso_8601(text):
    assert parse(pl.Series([text]), Kind.TIME)[0].to_list() == [NOON]


@pytest.mark.parametrize(
    "text", ["2026-13-01", "2026-02-30", "01/02/2026", "2026-01-01T25:00", "20260101T12", "1e400", "2026-01-01 CET"]
)
def test_what_is_no_time_is_marked(text):
    read, bad = parse(pl.Series(["2026-01-01", text]), Kind.TIME)
    assert read.to_list() == [NOON - 43_200, None]
    assert bad.to_list() == [False, True]


def test_zoned_datetimes_are_utc_seconds():
    moments = pl.Series([dt.datetime(2026, 1, 1, 12)]).dt.replace_time_zone("Asia/Shanghai")
    assert parse(moments, Kind.TIME)[0].to_list() == [NOON - 8 * 3600]


def test_mixed_times():
    assert is_mixed_time(pl.Series([str(NOON), "2026-01-01"]))
    assert not is_mixed_time(pl.Series(["2026-01-01", None, "2026-01-02T00:00Z"]))


def test_an_attribute_has_one_of_four_dtypes():
    assert attribute(pl.Series([1], dtype=pl.UInt8)).dtype == pl.Int64
    assert attribute(pl.Series([1.0, float("nan")], dtype=pl.Float32)).to_list() == [1.0, None]
    assert attribute(pl.Series([True])).dtype == pl.Boolean
    assert attribute(pl.Series(["a"], dtype=pl.Categorical)).to_list() == ["a"]
    assert attribute(pl.Series([{"k": 1}])).to_list() == ['{"k": 1}']
    assert attribute(pl.Series([[{"k": "茶"}], None])).to_list() == ['[{"k": "茶"}]', None]
