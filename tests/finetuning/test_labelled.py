"""Which labels an item has, by hand: the table over the column, personal data replaced, guesses never measured."""

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.data.dataset import build_dataset
from kuapin.finetuning.labelled import PSEUDO, Labelled, guesses_of, labelled_items, labels_of, with_guesses
from kuapin.finetuning.objectives.item_classification import ItemClassification, ItemClassificationConfig
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


def guessed(*rows):
    return table(*rows).with_columns(pl.lit(PSEUDO).alias(c.SOURCE))


def test_guesses_are_learnt_from_and_leave_what_is_measured_as_it_was():
    said = table(*((item, "t", "ab"[n % 2]) for n, item in enumerate(IDS[:20])))
    guesses = guessed(*((item, "t", "ab"[n // 2 % 2]) for n, item in enumerate(IDS[20:60])))
    data, config = market.dataset(), ItemClassificationConfig(task="t")
    before = ItemClassification(config, material_of(data, labels=said))
    material = material_of(data, labels=pl.concat([said, guesses], how="diagonal"))
    after = ItemClassification(config, material)
    assert after.held_out == before.held_out
    assert len(after.train) == len(before.train) + 40
    few = ItemClassification(config.model_copy(update={"labels_per_class": 12}), material)
    assert [sum(label == (one,) for _, label in few.train) for one in "ab"] == [12, 12]
    assert len(labelled_items(material, "t").rows) == 20  # what other objectives read


def test_a_guess_gives_way_to_whatever_else_is_known():
    """To the column, to a person's label, to a title that is measured; and it brings no label of its own."""
    catalogue = market.dataset().catalogue
    rows = [(IDS[0], c.BRAND, "Oak"), (IDS[0], "t", "a"), (IDS[1], "t", "a"), (IDS[2], "t", "new")]
    both = pl.concat([guessed(*rows), table((IDS[0], "t", "b"))], how="diagonal")
    assert guesses_of(catalogue, both, c.BRAND) == {}
    assert labels_of(catalogue, both, "t") == {catalogue.items.row(IDS[0]): ["b"]}
    assert guesses_of(catalogue, both, "t") == {
        catalogue.items.row(IDS[n]): [said] for n, said in ((1, "a"), (2, "new"))
    }
    train, held_out, own = (Labelled(np.array(rows), (("a",),) * len(rows)) for rows in ([0], [1], [2, 3]))
    more = with_guesses(train, held_out, own, ["x", "y", "y", "z"], None)
    assert (more.rows.tolist(), more.labels) == ([0, 3], (("a",), ("a",)))
    other = Labelled(np.array([3]), (("c",),))
    assert with_guesses(train, held_out, other, ["x", "y", "y", "z"], None).rows.tolist() == [0]
