"""Which labels an item has, by hand: the table over the column, personal data replaced, guesses never measured."""

import polars as pl
import pytest

from kuapin import columns as c
from kuapin.data.dataset import build_dataset
from kuapin.finetuning.labelled import labelled_items, labels_of
from tests import market
from tests.finetuning.conftest import material_of

pytest.importorskip("torch")
IDS = market.items()[c.ITEM_ID].to_list()


def table(*rows):
    return pl.DataFrame(rows, schema=[c.ITEM_ID, c.TASK, c.LABEL], orient="row")


@pytest.mark.parametrize("task", [c.BRAND, c.CATEGORY, "leaf"])
def test_a_label_of_the_table_stands_in_place_of_the_columns_own(task):
    catalogue = market.dataset().catalogue
    before = labels_of(catalogue, table(), task)
    row = catalogue.items.row(IDS[3])
    after = labels_of(catalogue, table((IDS[3], task, "said"), (IDS[3], task, "so"), (IDS[5], "else", "x")), task)
    assert len(before) == len(IDS)
    assert after == before | {row: ["said", "so"]}


def test_personal_data_are_replaced_whatever_they_are_the_label_of():
    told = market.items().with_columns(
        seller=pl.lit("Bob, bob@mail.com"), tags=pl.Series([["ann@mail.com", "oak"]] * len(IDS))
    )
    data = build_dataset(told, market.log())
    material = material_of(data, labels=table((IDS[0], "owner", "call +1 415 555 0100")))
    assert set(labelled_items(material, "seller").labels) == {("Bob, [EMAIL]",)}
    assert set(labelled_items(material, "tags").labels) == {("[EMAIL]", "oak")}
    assert labelled_items(material, "owner").labels == (("call [PHONE]",),)
