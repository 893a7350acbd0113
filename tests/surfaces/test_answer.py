import numpy as np
import polars as pl

from kuapin import columns as c
from kuapin.surfaces.answer import SCHEMA, Answer, Reasons, join


def answer(asked, items, scores, reasons=None) -> Answer:
    return Answer(np.array(asked, np.int64), np.array(items, np.int32), np.array(scores, np.float32), reasons)


def test_rows_and_ranks_by_hand():
    one = answer([0, 0], [2, 1], [0.9, 0.5], Reasons(["repeat", "new"], ["Bought once before", "New"]))
    other = answer([2], [0], [0.4], Reasons(["popular"], ["Met by 2 people"]))
    table = join([one, other]).table(
        pl.Series(["ada", "bob", "cyn"]), pl.Series(["i0", "i1", "i2"]), surface="products", release="r"
    )
    assert table.schema == SCHEMA
    assert table[c.USER_ID].to_list() == ["ada", "ada", "cyn"]
    assert table[c.RANK].to_list() == [1, 2, 1]
    assert table[c.TARGET_ID].to_list() == ["i2", "i1", "i0"]
    assert table[c.REASON_CODE].to_list() == ["repeat", "new", "popular"]
    assert table[c.REASON].to_list() == ["Bought once before", "New", "Met by 2 people"]


def test_without_reasons_their_columns_are_null():
    table = answer([0], [0], [0.5]).table(pl.Series(["u"]), pl.Series(["i"]), surface="similar", release="r")
    assert (table.schema, table[c.REASON_CODE].null_count(), table[c.REASON].null_count()) == (SCHEMA, 1, 1)


def test_nothing_joined_is_an_empty_table():
    table = join([]).table(pl.Series([], dtype=pl.String), pl.Series(["i"]), surface="products", release="r")
    assert (table.height, table.schema) == (0, SCHEMA)
