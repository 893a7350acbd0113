import time
import warnings

import polars as pl
import pytest
from pydantic import ValidationError

from kuapin.text.template import TextConfig, render


def texts(rows, template="{title}, {category}, {brand}", **config):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return render(pl.DataFrame(rows), TextConfig(template=template, **config)).to_list()


def test_missing_parts_drop_out_with_their_separator():
    rows = {
        "title": ["Serum", "Serum", "Serum", None, None],
        "category": ["Beauty > Skin care", None, "(none)", "Beauty", None],
        "brand": ["Ada", "Ada", "  ", "Ada", "Ada"],
    }
    assert texts(rows) == ["Serum, Skin care, Beauty, Ada", "Serum, Ada", "Serum", "Beauty, Ada", "Ada"]


def test_words_around_columns():
    rows = {"title": ["Pen", "Pen", None], "brand": ["Bic", None, "Bic"]}
    assert texts(rows, "passage: {title} by {brand}.") == ["passage: Pen by Bic.", "passage: Pen.", "Bic."]


def test_columns_that_the_table_lacks_and_other_types():
    rows = {"title": ["Pen"], "price": [2.5], "colours": [["red", "blue"]], "empty": [None]}
    assert texts(rows, "{title}, {price}, {colours}, {empty}, {absent}") == ["Pen, 2.5, red, blue"]


def test_a_missing_title_falls_back_with_a_warning():
    rows = pl.DataFrame({"title": [None, " ", "Pen"], "description": ["A fine pen", None, None], "brand": ["Bic"] * 3})
    with pytest.warns(UserWarning, match="items: 2 of 3 have no title"):
        assert render(rows, TextConfig(template="{title}")).to_list() == ["A fine pen, Bic", "Bic", "Pen"]


def test_an_item_without_words_has_an_empty_text():
    assert texts({"title": [None], "category": ["(none)"]}) == [""]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("a\0b\tc\r\nd\x07e", "a b c d e"),
        ("  many   spaces  ", "many spaces"),
        ("😀 party 👨‍👩‍👧", "😀 party 👨‍👩‍👧"),
        ("قلم أزرق", "قلم أزرق"),
        ("轻奢　纯棉", "轻奢 纯棉"),
    ],
)
def test_unusual_characters(title, expected):
    assert texts({"title": [title]}) == [expected]


def test_long_titles_are_cut():
    assert texts({"title": ["ab " * 40_000]}, max_characters=50) == [("ab " * 17)[:50].rstrip()]


def test_a_number_at_the_cut_is_masked_whole():
    title = "x" * 40 + " 13812345678 tail"
    assert texts({"title": [title]}, max_characters=46) == ["x" * 40 + " [PHON"]


def test_texts_are_masked():
    assert texts({"title": ["Pen 13812345678"], "brand": ["me@shop.example"]}) == ["Pen [PHONE], [EMAIL]"]


def test_an_empty_table():
    assert render(pl.DataFrame({"title": []}, schema={"title": pl.String}), TextConfig()).to_list() == []


def test_a_template_needs_a_column():
    with pytest.raises(ValidationError, match="names no column"):
        TextConfig(template="title")


@pytest.mark.data
def test_forty_thousand_items_in_two_seconds(data):
    items = pl.read_parquet(data / "amazon18_arts_office" / "items.parquet")
    started = time.process_time()
    assert render(items, TextConfig()).null_count() == 0
    assert time.process_time() - started < 2


def test_items_without_a_column_to_read_have_empty_texts():
    with pytest.warns(UserWarning, match="3 of 3 have no title"):
        texts = render(pl.DataFrame({"item_id": ["a", "b", "c"]}), TextConfig())
    assert texts.to_list() == ["", "", ""]


def test_a_misspelt_column_of_the_template_is_told():
    items = pl.DataFrame({"item_id": ["a"], "title": ["Lamp"], "colour": ["red"]})
    with pytest.warns(UserWarning, match="names 'titel', which no item has. Did you mean title?"):
        render(items, TextConfig(template="{titel} {colour}"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render(items, TextConfig(template="{title} {colour} {brand}"))
