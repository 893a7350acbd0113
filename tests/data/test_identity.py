"""An event is its id, or its content and its count among identical rows."""

import polars as pl
import pytest

from kuapin.data.identity import row_hashes, with_event_ids

GOLDEN = ["56567eb34c36110775ad2a79", "7d54da02f2c4df4a9405cfd9"]
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


@pytest.mark.parametrize("size", [[4, 5], [4.0, 5.0], ["4", "5"], ["4.0", "5"]])
def test_an_attribute_is_the_same_in_every_format(size):
    assert ids(LOG[:2].with_columns(pl.Series("size", size))) == ids(LOG[:2].with_columns(pl.Series("size", [4, 5])))


def test_an_id_is_its_characters():
    one, other = (row_hashes(pl.DataFrame({"item_id": [text]})) for text in ("1", "1.0"))
    assert (one != other).any()


def test_zero_has_no_sign():
    assert (row_hashes(pl.DataFrame({"a": [0.0]})) == row_hashes(pl.DataFrame({"a": [-0.0]}))).all()
