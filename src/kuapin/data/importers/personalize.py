"""Amazon Personalize data sets: upper-case columns, one file per data set, times in unix seconds.

``CATEGORY_L1`` … ``CATEGORY_L4`` become the category path; without them ``GENRES`` (``a|b``) does. Every other column
is kept as an attribute in lower case, the ``IMPRESSION`` list (``a|b|c``) included.
"""

from pathlib import Path

import polars as pl

from kuapin import columns as c
from kuapin.data.importers.events import our_events
from kuapin.data.importers.format import Imported, Sources, one_each, renamed
from kuapin.data.readers import read_header, read_table
from kuapin.data.stacking import as_text

NAME = "personalize"

_NAMES = {
    "USER_ID": c.USER_ID,
    "ITEM_ID": c.ITEM_ID,
    "TIMESTAMP": c.TIMESTAMP,
    "EVENT_TYPE": c.EVENT,
    "EVENT_VALUE": c.VALUE,
    "RECOMMENDATION_ID": c.RANKING_ID,
    "SESSION_ID": c.SESSION_ID,
    "CREATION_TIMESTAMP": c.CREATED_AT,
    "PRICE": c.PRICE,
    "BRAND": c.BRAND,
    "ITEM_NAME": c.TITLE,
    "NAME": c.TITLE,
    "TITLE": c.TITLE,
    "PRODUCT_DESCRIPTION": c.DESCRIPTION,
    "DESCRIPTION": c.DESCRIPTION,
}
_LEVELS = tuple(f"CATEGORY_L{level}" for level in range(1, 5))
_GENRES = "GENRES"

files = one_each


def detect(sources: Sources) -> bool:
    """Whether a file has ``USER_ID`` or ``ITEM_ID``, in capitals."""
    return any({"USER_ID", "ITEM_ID"} & set(read_header(path)) for path in sources.values())


def read(sources: Sources) -> Imported:
    """Every data set under our names."""
    tables, names = {}, {}
    for table, path in sources.items():
        tables[table], names[table] = _table(path)
    return Imported(tables, names)


def _table(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    frame = read_table(path)
    levels = [level for level in _LEVELS if level in frame.columns]
    if levels:
        steps = [as_text(frame[level]).replace("", None) for level in levels]
        joined = pl.concat_str(*(step.name for step in steps), separator=c.CATEGORY_SEPARATOR, ignore_nulls=True)
        path_of_item = pl.DataFrame(steps).select(joined.replace("", None).alias(c.CATEGORY))
        frame = frame.drop(levels).hstack(path_of_item)
    elif _GENRES in frame.columns:
        genres = as_text(frame[_GENRES]).str.replace_all("|", c.CATEGORY_SEPARATOR, literal=True)
        frame = frame.drop(_GENRES).with_columns(genres.alias(c.CATEGORY))
    frame, names = renamed(frame, _NAMES)
    if c.EVENT in frame.columns:
        frame = frame.with_columns(our_events(frame[c.EVENT]))
    others = {name: name.lower() for name in frame.columns if name.lower() not in frame.columns}
    return frame.rename(others), names
