"""What the items of a new category must be; each breach is one line that says what to do."""

import polars as pl
import pytest

from kuapin.errors import InputError
from kuapin.pipeline.new_items import new_items
from kuapin.text.template import TextConfig
from kuapin.workspace import CheckedItems, Shop
from tests import market

SHOP = market.items().filter(~pl.col("category").str.starts_with("Pets"))
PETS = market.items().filter(pl.col("category").str.starts_with("Pets"))


def placed(frame: pl.DataFrame, category: str = "Pets", shop: pl.DataFrame = SHOP) -> pl.DataFrame:
    return new_items(CheckedItems(None, frame, "pets.csv", ()), category, shop, TextConfig())


def test_items_without_a_category_get_it_and_paths_stay():
    half = PETS.with_columns(pl.when(pl.col("title").str.contains("bed")).then("category").alias("category"))
    assert half["category"].null_count() == 12
    found = placed(half)["category"].value_counts().sort("category").rows()
    assert found == [("Pets", 12), ("Pets > bed", 12)]
    assert placed(PETS.drop("category"))["category"].to_list() == ["Pets"] * 24


def test_what_came_with_the_same_file_before_is_no_obstacle():
    assert placed(PETS, shop=pl.concat([SHOP, PETS])).height == 24


REFUSED = {
    "there already": (PETS.with_columns(category=None), "Home", SHOP, "has a category 'Home' already, with 24 items"),
    "but for its case": (PETS.with_columns(category=None), "home", SHOP, "has a category 'Home' already"),
    "there with other items": (PETS.tail(20), "Pets", pl.concat([SHOP, PETS]), "'Pets' already, with 4 items"),
    "of another one": (pl.concat([PETS, SHOP.tail(2).with_columns(item_id=pl.Series(["x", "y"]))]), "Pets", SHOP,
                       r"pets.csv: item 'x' is in 'Garden > hose', and what opens is 'Pets' \(2 items in all\)"),
    "an item that is sold": (PETS.with_columns(item_id=SHOP["item_id"].head(24)), "Pets", SHOP,
                             r"the shop has item 'B-rose-soap-small' already, in another category \(24 items in all\)"),
    "no text": (PETS.select("item_id"), "Pets", SHOP, r"item 'P-rose-bed-small' has no text \(24 items in all\)"),
    "one without text": (PETS.select("item_id", title=pl.when(pl.col("item_id") != "P-oak-bed-large").then("title")),
                         "Pets", SHOP, "item 'P-oak-bed-large' has no text; a new item is known by its text"),
    "one item": (PETS.head(1), "Pets", SHOP, "has one item; a category has at least 2"),
    "one category": (PETS, "Pets", SHOP.head(24), "The shop has one category, 'Beauty'"),
    "no name": (PETS.drop("category"), " ", SHOP, "--category is ' '"),
    "a path": (PETS, "Pets > bed", SHOP, "--category is 'Pets > bed'; what opens is one top-level category"),
    "no category": (PETS.drop("category"), "(none)", SHOP, r"--category is '\(none\)'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_one_line(kind):
    frame, category, shop, message = REFUSED[kind]
    with pytest.raises(InputError, match=message) as error:
        placed(frame, category, shop)
    assert "\n" not in str(error.value)


def test_a_description_is_a_text():
    described = PETS.select("item_id", description=pl.lit("soft, for cats"))
    assert placed(described).height == 24


def test_checking_stores_nothing(tmp_path):
    shop = Shop.init(tmp_path / "shop")
    SHOP.write_csv(tmp_path / "items.csv")
    shop.import_files(items=tmp_path / "items.csv")
    PETS.write_parquet(tmp_path / "pets.parquet")
    before = shop.snapshot, shop.store.files
    checked = shop.check_items(tmp_path / "pets.parquet")
    assert (checked.frame.height, checked.file, len(checked.entries)) == (24, "pets.parquet", 1)
    assert (shop.snapshot, shop.store.files) == before
    PETS.with_columns(price=-1.0).write_parquet(tmp_path / "bad.parquet")
    with pytest.raises(InputError, match=r"bad.parquet row 1: price is -1.0"):
        shop.check_items(tmp_path / "bad.parquet")
    with pytest.raises(InputError, match="does not exist"):
        shop.check_items(tmp_path / "none.parquet")
