"""The shop with brands in place of items: the same tables, one step coarser."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue, build_catalogue
from kuapin.data.histories import Histories

SHELVES = 3
"""Most frequent category paths of a brand that its text names."""
TEXT = "text"


def brand_catalogue(catalogue: Catalogue) -> Catalogue:
    """A catalogue whose items are the brands, by code.

    The title is the brand's name, the category the path that most of its items have, the price the median of theirs.
    A brand is available while one of its items is. The frame's column ``text`` has the name and its ``SHELVES`` most
    frequent paths.
    """
    rows = np.flatnonzero(catalogue.brand >= 0)
    table = pl.DataFrame(
        {
            "brand": catalogue.brand[rows],
            "leaf": pl.Series(catalogue.leaves, dtype=pl.String).gather(catalogue.leaf[rows]),
            "price": pl.Series(catalogue.price[rows]).fill_nan(None),
            "available": catalogue.available[rows],
        }
    )
    shelves = (
        table.group_by("brand", "leaf")
        .len()
        .sort(["brand", "len", "leaf"], descending=[False, True, False])
        .group_by("brand", maintain_order=True)
        .agg(pl.col("leaf").head(SHELVES))
    )
    facts = table.group_by("brand").agg(pl.col("price").median(), pl.col("available").any())
    every = pl.DataFrame(
        {
            "brand": np.arange(len(catalogue.brands), dtype=np.int32),
            "name": pl.Series(catalogue.brands, dtype=pl.String),
        }
    )
    frame = every.join(shelves, on="brand", how="left", maintain_order="left")
    frame = frame.join(facts, on="brand", how="left", maintain_order="left").select(
        pl.col("name").alias(c.ITEM_ID),
        pl.col("name").alias(c.TITLE),
        pl.col("leaf").list.first().alias(c.CATEGORY),
        pl.col("price").alias(c.PRICE),
        pl.col("available").fill_null(value=False).alias(c.AVAILABLE),
        pl.concat_str("name", pl.col("leaf").list.join(", "), separator=", ", ignore_nulls=True).alias(TEXT),
    )
    return build_catalogue(frame)


def brand_histories(histories: Histories, brand: NDArray[np.int32], n_brands: int) -> Histories:
    """The same histories with the items' brands; what has no brand is passed over.

    Args:
        histories: in items.
        brand: int32 (n_items,), code of the brand, -1 where there is none.
        n_brands: how many there are.
    """
    kept = histories.keep(brand[histories.items] >= 0)
    return Histories(kept.indptr, brand[kept.items], kept.times, kept.events, n_brands, kept.timed)


def brand_vectors(vectors: NDArray[np.float32], brand: NDArray[np.int32], n_brands: int) -> NDArray[np.float32]:
    """The mean text vector of every brand's items at unit length, float32 (n_brands, d); 0 without items."""
    rows = np.flatnonzero(brand >= 0)
    total = np.zeros((n_brands, vectors.shape[1]), np.float32)
    np.add.at(total, brand[rows], vectors[rows])
    norms = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(norms, 1e-9), np.float32)
