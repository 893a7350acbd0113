"""One data folder, in the layout of the data folder's README, as a shop: the log, the texts and their vectors."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import ROOT
from kuapin import columns as c
from kuapin.data.dataset import Dataset, build_dataset
from kuapin.encoding.items import item_vectors
from kuapin.encoding.settings import EncodingConfig
from kuapin.text.template import TextConfig, render

DOMAIN, SHELF, ORDER = "domain", "shelf", "pos"
TEMPLATE = "{title}, {category}, {brand}"
"""The default of a shop; the category is the whole path, the domain included."""
TEMPLATES = (TEMPLATE, "{title}", "{title}, {shelf}, {brand}")
"""What frozen text is tried with; ``shelf`` is the category without the domain."""


@dataclass(frozen=True)
class DataSet:
    """A folder as a shop.

    Attributes:
        name: of the folder.
        items: the items table in row order; the category path begins with the domain, and ``shelf`` is the source's
            own category.
        dataset: the log.
    """

    name: str
    items: pl.DataFrame
    dataset: Dataset

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the items and the log."""
        log = self.dataset.histories
        digest = hashlib.sha256(self.items.write_json().encode())
        for array in (log.indptr, log.items, log.times):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def texts(self, template: str = TEMPLATE) -> pl.Series:
        """The masked text of every item."""
        return render(self.items, TextConfig(template=template))

    def vectors(self, template: str | None = None, encoding: EncodingConfig | None = None) -> NDArray[np.float32]:
        """Unit-length vectors of all items, float32 (n_items, d), from the cache where it has them.

        Args:
            template: of the one text that is read; ``None``: as a shop reads its items by default.
            encoding: how texts become vectors; ``None``: the default.
        """
        text = TextConfig() if template is None else TextConfig(template=template, title_weight=0)
        return item_vectors(self.items, text, encoding or EncodingConfig(), self.cache)

    @property
    def cache(self) -> Path:
        """Where its encoders and vectors are kept."""
        folder = cache_folder() / hashlib.sha256(self.name.encode()).hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def cache_folder() -> Path:
    """Where encoders and vectors are kept between runs: ``$KUAPIN_CACHE``, or a folder for temporary files.

    Raises:
        SystemExit: the folder lies in the repository.
    """
    folder = Path(os.environ.get("KUAPIN_CACHE", Path(tempfile.gettempdir()) / "kuapin-benchmarks")).resolve()
    if folder.is_relative_to(ROOT):
        raise SystemExit(f"$KUAPIN_CACHE is {folder}, inside the repository. Choose a folder elsewhere.")
    return folder


def load_set(folder: Path) -> DataSet:
    """Read ``items.parquet`` and ``interactions.parquet`` of one folder."""
    items = set_items(pl.read_parquet(folder / "items.parquet"))
    log = set_log(pl.read_parquet(folder / "interactions.parquet"))
    return DataSet(folder.resolve().name, items, build_dataset(items, log))


def set_items(items: pl.DataFrame) -> pl.DataFrame:
    """The items with ids as strings, a title wherever some text can stand for it, and the domain as first category."""
    have = items.columns
    title = [pl.col(name).cast(pl.String) for name in (c.TITLE, "text_id") if name in have]
    shelf = pl.col(c.CATEGORY).cast(pl.String) if c.CATEGORY in have else pl.lit(None, pl.String)
    domain = pl.col(DOMAIN).cast(pl.String) if DOMAIN in have else pl.lit(None, pl.String)
    starts = shelf.str.split(c.CATEGORY_SEPARATOR.strip()).list.first().str.strip_chars() == domain
    path = (
        pl.when(starts.fill_null(value=False))
        .then(shelf)
        .otherwise(pl.concat_str([domain, shelf], separator=c.CATEGORY_SEPARATOR, ignore_nulls=True))
    )
    prefix = domain + c.CATEGORY_SEPARATOR
    own = pl.when(starts.fill_null(value=False)).then(shelf.str.strip_prefix(prefix)).otherwise(shelf)
    return items.with_columns(
        pl.col(c.ITEM_ID).cast(pl.String),
        (pl.coalesce(title) if title else pl.lit(None, pl.String)).alias(c.TITLE),
        pl.when(path != "").then(path).alias(c.CATEGORY),
        own.alias(SHELF),
    )


def set_log(log: pl.DataFrame) -> pl.DataFrame:
    """The interactions with ids as strings; where not all have a time, none has, and ``pos`` gives the order."""
    log = log.with_columns(pl.col(c.USER_ID).cast(pl.String), pl.col(c.ITEM_ID).cast(pl.String))
    if c.TIMESTAMP in log.columns and log[c.TIMESTAMP].null_count() == 0:
        return log.with_columns(pl.col(c.TIMESTAMP).cast(pl.Int64))
    by = [name for name in (c.USER_ID, DOMAIN, ORDER) if name in log.columns]
    log = log.drop(c.TIMESTAMP, strict=False)
    return log.sort(by, maintain_order=True) if ORDER in log.columns else log


def complete_journey() -> DataSet:
    """The package Complete Journey as a set."""
    from kuapin.data.importers import complete_journey as importer

    tables = importer.read({}).tables
    items, log = tables[c.ITEMS], tables[c.INTERACTIONS].filter(pl.col(c.ITEM_ID).is_not_null())
    return DataSet("complete_journey", items.with_columns(pl.col(c.CATEGORY).alias(SHELF)), build_dataset(items, log))
