"""What people say about the safety of items, kept in the labels table."""

from collections.abc import Sequence

import polars as pl

from kuapin import columns as c
from kuapin.data.vocabulary import Vocabulary
from kuapin.errors import InputError
from kuapin.ranking.safety import ALLOW, BLOCK, TASK
from kuapin.workspace import Shop


def say_of(shop: Shop, *, allow: Sequence[str] = (), block: Sequence[str] = ()) -> None:
    """Note that items may, or may not, be shown; what was said of them before is replaced.

    Raises:
        InputError: an item is named on both sides.
        UnknownIdError: the shop lacks an item; nothing is noted.
    """
    both = sorted(set(allow) & set(block))
    if both:
        raise InputError(f"{both[0]!r} is both allowed and blocked. Name it once.")
    items = Vocabulary(shop.store.read(c.ITEMS, [c.ITEM_ID])[c.ITEM_ID], "item")
    said = {**dict.fromkeys(allow, ALLOW), **dict.fromkeys(block, BLOCK)}
    for item in said:
        items.row(item)
    rows = {c.ITEM_ID: list(said), c.TASK: [TASK] * len(said), c.LABEL: list(said.values())}
    shop.store.write({c.LABELS: pl.DataFrame(rows, schema=dict.fromkeys(rows, pl.String))})
