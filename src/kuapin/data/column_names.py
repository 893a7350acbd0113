"""Which column of a foreign table could be the one that is missing."""

from collections.abc import Sequence
from difflib import get_close_matches

from kuapin import columns as c
from kuapin.data.schema import SCHEMAS

CLOSE = 0.75
OTHER_NAMES = {
    c.ITEM_ID: ("sku", "product_id", "product", "article_id", "goods_id", "asin", "parent_asin"),
    c.USER_ID: ("customer_id", "customer", "client_id", "member_id", "visitor_id", "household_id", "buyer_id"),
    c.TIMESTAMP: ("date", "time", "datetime", "event_time", "order_date", "ordered_at"),
    c.TITLE: ("name", "product_name", "item_name"),
}
"""What shops call the columns that are missed most."""


_OURS = {column.name for schema in SCHEMAS.values() for column in schema.columns}


def likely_column(name: str, came: Sequence[str]) -> str | None:
    """The column that could be ``name``: a usual other name, or nearly the same letters; ``None``: none of them.

    A column that is one of ours already is never proposed: renaming a title to an id would ruin both.
    """
    spelled = {column.lower().replace(" ", "_").replace("-", "_"): column for column in came}
    free = {word: column for word, column in spelled.items() if column not in _OURS}
    known = [word for word in OTHER_NAMES.get(name, ()) if word in free]
    near = known or get_close_matches(name, free, n=1, cutoff=CLOSE)
    return free[near[0]] if near else None
