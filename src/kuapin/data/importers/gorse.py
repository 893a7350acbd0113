"""The Gorse export: users, items and feedback, as JSON Lines (``UserId``) or CSV (``user_id``).

An item's comment is its title, its categories in order are its path, and hidden items are not available. Of ``Labels``
that are an object, title, description, brand, price and image fill our columns; all labels stay as an attribute.
Gorse's zero time (year 1) means that there is none.
"""

import json

import polars as pl

from kuapin import columns as c
from kuapin.data.importers.events import our_events
from kuapin.data.importers.format import Imported, Sources, one_each, renamed
from kuapin.data.readers import read_header, read_table
from kuapin.data.stacking import as_text

NAME = "gorse"

_NAMES = {
    c.ITEMS: {
        "itemid": c.ITEM_ID,
        "ishidden": "is_hidden",
        "categories": c.CATEGORY,
        "timestamp": c.CREATED_AT,
        "comment": c.TITLE,
        "description": c.TITLE,
    },
    c.USERS: {"userid": c.USER_ID},
    c.INTERACTIONS: {
        "feedbacktype": c.EVENT,
        "userid": c.USER_ID,
        "itemid": c.ITEM_ID,
        "timestamp": c.TIMESTAMP,
        "value": c.VALUE,
    },
}
_FROM_LABELS = (c.TITLE, c.DESCRIPTION, c.BRAND, c.PRICE, c.IMAGE)
_LABELS = "labels"
_ZERO_TIME = "0001-01-01"

files = one_each


def detect(sources: Sources) -> bool:
    """Whether a header has Gorse's names: ``FeedbackType``, ``IsHidden`` or ``UserId`` and their CSV spellings."""
    for table, path in sources.items():
        header = read_header(path)
        plain = {_plain(name) for name in header}
        if table == c.INTERACTIONS and "feedbacktype" in plain:
            return True
        if table == c.ITEMS and "ishidden" in plain and "itemid" in plain:
            return True
        if table == c.USERS and "UserId" in header:
            return True
    return False


def read(sources: Sources) -> Imported:
    """Users, items and feedback under our names; other tables as they are."""
    tables, names = {}, {}
    for table, path in sources.items():
        frame = read_table(path)
        spelled = {name: _NAMES[table][_plain(name)] for name in frame.columns if _plain(name) in _NAMES.get(table, {})}
        frame, names[table] = renamed(frame, spelled)
        frame = frame.rename({name: name.lower() for name in frame.columns if name.lower() not in frame.columns})
        frame = _times(frame, c.TIMESTAMP, c.CREATED_AT)
        if table == c.ITEMS:
            frame = _items(frame)
        if table == c.INTERACTIONS and c.EVENT in frame.columns:
            frame = frame.with_columns(our_events(frame[c.EVENT]))
        tables[table] = frame
    return Imported(tables, names)


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _times(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Zero times become null."""
    texts = [frame[name] for name in columns if name in frame.columns and frame[name].dtype == pl.String]
    return frame.with_columns(text.set(text.str.starts_with(_ZERO_TIME).fill_null(value=False), None) for text in texts)


def _items(frame: pl.DataFrame) -> pl.DataFrame:
    if c.CATEGORY in frame.columns:
        steps = frame[c.CATEGORY]
        nested = isinstance(steps.dtype, pl.List)
        path = steps.list.join(c.CATEGORY_SEPARATOR) if nested else _text_path(as_text(steps))
        frame = frame.with_columns(path.replace("", None).alias(c.CATEGORY))
    if "is_hidden" in frame.columns:
        hidden = as_text(frame["is_hidden"]).str.to_lowercase().is_in(["true", "1", "t"])
        frame = frame.drop("is_hidden").with_columns((~hidden).alias(c.AVAILABLE))
    return _with_labels(frame) if _LABELS in frame.columns and frame[_LABELS].dtype == pl.String else frame


def _text_path(texts: pl.Series) -> pl.Series:
    """Categories of a CSV export: ``a|b`` or a JSON array."""
    plain = texts.str.replace_all(r'^\[|\]$|"', "").str.replace_all(r"\s*[|,]\s*", c.CATEGORY_SEPARATOR)
    return plain.replace("null", None)


def _with_labels(frame: pl.DataFrame) -> pl.DataFrame:
    objects = [_object(text) for text in frame[_LABELS]]
    columns = []
    for name in _FROM_LABELS:
        values = [labels.get(name) for labels in objects]
        if any(value is not None for value in values):
            found = as_text(pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String))
            columns.append(found.fill_null(as_text(frame[name])) if name in frame.columns else found)
    return frame.with_columns(columns)


def _object(text: str | None) -> dict[str, object]:
    if text is None or not text.startswith("{"):
        return {}
    try:
        labels = json.loads(text)
    except ValueError:
        return {}
    return labels if isinstance(labels, dict) else {}
