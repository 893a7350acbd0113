"""An event is its id, or its content and its count among identical rows."""

import polars as pl
import pytest

from kuapin.data.identity import row_hashes, with_event_ids

GOLDEN = ["b9caed3be87617e75ce4e2b5", "350696318f494ac82c1b1995"]
LOG = pl.DataFrame({"user_id": ["u", "u", "v"], "item_id": ["a", "a", "a"], "timestamp": [1, 1, 1]})


def ids(frame):
    return with_event_ids(frame)["event_id"].to_list()


def test_exact_repeats_are_separate_events():
    first, second, other = ids(LOG)
    assert second == f"{first}-2"
    assert len({first, second, other}) == 3
    assert len(first) == 24


def test_the_identity_is_the_content_wherever_it_stands():
    again = LOG.select("timestamp", pl.lit(None, pl.String).alias("query"), "item_id", "user_id")[[2, 0, 1]]
    assert sorted(ids(again)) == sorted(ids(LOG))


def test_the_hash_is_fixed_for_ever():
    """Identities are stored: another release, another library version, must not change them."""
    frame = pl.DataFrame({"user_id": ["u", "茶"], "value": [1.5, None], "n": [3, -1], "flag": [True, None]})
    assert [f"{high:016x}{low:08x}" for high, low in row_hashes(frame)] == GOLDEN


def test_a_given_id_stays():
    frame = LOG.with_columns(pl.Series("event_id", ["e1", None, "e1"]))
    first, second, third = ids(frame)
    assert (first, third) == ("e1", "e1")
    assert second == ids(LOG)[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": ["x"], "b": ["y"]}, {"a": ["y"], "b": ["x"]}),
        ({"a": ["xy"], "b": [""]}, {"a": ["x"], "b": ["y"]}),
        ({"a": [1]}, {"a": [2]}),
        ({"a": [1]}, {"b": [1]}),
        ({"a": [0.5]}, {"a": [0.25]}),
        ({"a": ["x", "x"], "b": [None, "y"]}, {"a": ["x", "x"], "b": ["y", "y"]}),
    ],
)
def test_other_content_has_another_hash(one, other):
    assert (row_hashes(pl.DataFrame(one))[0] != row_hashes(pl.DataFrame(other))[0]).any()


def test_zero_has_no_sign():
    assert (row_hashes(pl.DataFrame({"a": [0.0]})) == row_hashes(pl.DataFrame({"a": [-0.0]}))).all()
