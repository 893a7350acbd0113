"""What people say about the safety of items, kept in the labels table."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from kuapin import columns as c
from kuapin.arrivals import Arrivals
from kuapin.data.vocabulary import Vocabulary
from kuapin.errors import InputError
from kuapin.list_layer import open_decisions
from kuapin.manifest import part_of, read_routing
from kuapin.ranking.safety import ALLOW, BLOCK, TASK, queue
from kuapin.release_parts import CATALOGUE
from kuapin.workspace import Shop


def waiting(shop: Shop, release: Path) -> pl.DataFrame:
    """What safety blocks, flags or puts lower and nobody decided on, the surest first: the columns of ``SCHEMA``.

    Items that the release was not trained with, or with another title, are judged as the service judges them.

    Args:
        shop: with its items and labels.
        release: folder of the live release.
    """
    known = pl.read_parquet(release / part_of(read_routing(release).default) / CATALOGUE)
    same = [name for name in (c.ITEM_ID, c.TITLE) if name in known.columns]
    items = shop.store.read(c.ITEMS)
    new = items.join(known, on=[name for name in same if name in items.columns], how="anti", nulls_equal=True)
    return queue(open_decisions(shop, release, Arrivals(shop, release).decided(new)))


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
