"""Amazon Reviews of 2014, 2018 and 2023 (McAuley et al.): reviews + metadata, one object a line.

| | 2014 | 2018 | 2023 |
|---|---|---|---|
| item | asin | asin | parent_asin |
| user | reviewerID | reviewerID | user_id |
| time | unixReviewTime (s) | unixReviewTime (s) | timestamp (ms) |
| stars | overall | overall | rating |
| category | categories, the first path | category; else main_cat | categories; else main_category |
| brand | brand | brand | store |
| price | number | ``$12.99``, ``$4.99 - $19.99`` | number, ``from 4.99`` |

Metadata of 2014 are Python literals, which are read as such, never run. A range of prices counts with its lower end;
what is no price is unknown. The sources repeat some items: the first row of each is kept, the others are reported.
Of the other columns, features, the image's address and the review's summary, verified and helpful_vote are taken.
"""

import json
from pathlib import Path

import polars as pl

from kuapin import columns as c
from kuapin.data.importers.format import Imported, Sources, one_each, renamed
from kuapin.data.json_lines import json_or_literal
from kuapin.data.parsing import parse
from kuapin.data.readers import read_header, read_table
from kuapin.data.schema import Kind
from kuapin.data.stacking import as_text
from kuapin.errors import InputError

NAME = "amazon"

_REVIEWS_OLD = {
    "reviewerID": c.USER_ID,
    "asin": c.ITEM_ID,
    "unixReviewTime": c.TIMESTAMP,
    "overall": c.VALUE,
    "reviewText": c.TEXT,
    "summary": "summary",
    "verified": "verified",
}
_REVIEWS_2023 = {
    "user_id": c.USER_ID,
    "parent_asin": c.ITEM_ID,
    "timestamp": c.TIMESTAMP,
    "rating": c.VALUE,
    "text": c.TEXT,
    "title": "summary",
    "verified_purchase": "verified",
    "helpful_vote": "helpful_vote",
}
_METADATA_OLD = {"asin": c.ITEM_ID, "title": c.TITLE, "brand": c.BRAND, "price": c.PRICE, "description": c.DESCRIPTION}
_METADATA_2023 = {
    "parent_asin": c.ITEM_ID,
    "title": c.TITLE,
    "store": c.BRAND,
    "price": c.PRICE,
    "description": c.DESCRIPTION,
}
_PATHS = ("categories", "category")
_DEPARTMENTS = ("main_cat", "main_category")
_FEATURES = ("feature", "features")
_IMAGES = ("imUrl", "imageURLHighRes", "imageURL", "images")
_PRICE = r"^\s*(?:from\s*)?\$?\s*(\d[\d,]*(?:\.\d+)?)"
_LINK = r'(https?://[^"\s,\]]+)'

files = one_each


def detect(sources: Sources) -> bool:
    """Whether the reviews or the metadata have the names of one of the three years."""
    reviews = set(read_header(sources[c.INTERACTIONS])) if c.INTERACTIONS in sources else set()
    metadata = set(read_header(sources[c.ITEMS])) if c.ITEMS in sources else set()
    return (
        {"reviewerID", "asin"} <= reviews
        or {"user_id", "parent_asin"} <= reviews
        or "parent_asin" in metadata
        or ("asin" in metadata and bool({*_PATHS, *_DEPARTMENTS} & metadata))
    )


def read(sources: Sources) -> Imported:
    """Reviews as interactions and metadata as items.

    Raises:
        InputError: a table was given that this source does not have, or a file cannot be read.
    """
    tables, names = {}, {}
    for table, path in sources.items():
        if table == c.INTERACTIONS:
            tables[table], names[table] = _reviews(path)
        elif table == c.ITEMS:
            tables[table], names[table] = _metadata(path)
        else:
            raise InputError(f"{path.name}: Amazon Reviews have no {table}. Import it on its own with --format plain.")
    return Imported(tables, names, first_counts=frozenset({c.ITEMS}))


def _reviews(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    recent = "parent_asin" in read_header(path)
    frame, names = renamed(
        read_table(path, _REVIEWS_2023 if recent else _REVIEWS_OLD), _REVIEWS_2023 if recent else _REVIEWS_OLD
    )
    if recent and c.TIMESTAMP in frame.columns:
        milliseconds, unreadable = parse(frame[c.TIMESTAMP], Kind.WHOLE)
        if not unreadable.any():
            frame = frame.with_columns((milliseconds // 1000).alias(c.TIMESTAMP))
    return frame.with_columns(pl.lit("review").alias(c.EVENT)), names


def _metadata(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    recent = "parent_asin" in read_header(path)
    names = _METADATA_2023 if recent else _METADATA_OLD
    frame = read_table(path, (*names, *_PATHS, *_DEPARTMENTS, *_FEATURES, *_IMAGES), parse=json_or_literal)
    department = _first(frame, _DEPARTMENTS)
    category = _first(frame, _PATHS)
    columns = {
        c.CATEGORY: _path(category, department),
        "features": _joined(_first(frame, _FEATURES)),
        c.IMAGE: _link(_first(frame, _IMAGES)),
    }
    frame, ours = renamed(frame.drop(*_PATHS, *_DEPARTMENTS, *_FEATURES, *_IMAGES, strict=False), names)
    if c.PRICE in frame.columns:
        columns[c.PRICE] = _price(frame[c.PRICE])
    if c.DESCRIPTION in frame.columns:
        columns[c.DESCRIPTION] = _joined(frame[c.DESCRIPTION])
    return frame.with_columns(values.alias(name) for name, values in columns.items() if values is not None), ours


def _first(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.Series | None:
    """The first of some columns that exists, rows that it lacks filled from the next."""
    found = [frame[name] for name in names if name in frame.columns and frame[name].dtype != pl.Null]
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    texts = [as_text(values).replace("", None) for values in found]
    return pl.DataFrame([text.alias(str(n)) for n, text in enumerate(texts)]).select(pl.coalesce(pl.all())).to_series()


def _path(steps: pl.Series | None, department: pl.Series | None) -> pl.Series | None:
    """Category paths from lists of steps or from JSON text of lists of paths; the department where there is none."""
    if steps is None:
        return department
    if isinstance(steps.dtype, pl.List):
        path = steps.list.join(c.CATEGORY_SEPARATOR).replace("", None)
    else:
        path = pl.Series(c.CATEGORY, [_first_path(text) for text in as_text(steps)], dtype=pl.String)
    return path if department is None else path.zip_with(path.is_not_null(), as_text(department))


def _first_path(text: str | None) -> str | None:
    if not text or not text.startswith("["):
        return text or None
    paths = json.loads(text)
    steps = paths[0] if paths and isinstance(paths[0], list) else paths
    return c.CATEGORY_SEPARATOR.join(str(step) for step in steps) or None


def _joined(texts: pl.Series | None) -> pl.Series | None:
    if texts is None:
        return None
    joined = texts.list.join(" ") if isinstance(texts.dtype, pl.List) else as_text(texts)
    return joined.replace("", None)


def _link(images: pl.Series | None) -> pl.Series | None:
    return None if images is None else as_text(images).str.extract(_LINK)


def _price(prices: pl.Series) -> pl.Series:
    if prices.dtype.is_numeric():
        return prices
    return as_text(prices).str.extract(_PRICE).str.replace_all(",", "").cast(pl.Float64, strict=False)
