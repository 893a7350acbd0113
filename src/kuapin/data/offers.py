"""What a shop promotes: campaigns, and the coupons of which they consist, with the items that they are for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.vocabulary import Vocabulary

CAMPAIGN, COUPON = "campaign", "coupon"
"""Kinds of an offer."""
COUPON_COLUMN = "coupon_upc"
"""Attribute of a ``redeem`` event that says which coupon; the relations name it ``coupon:CODE``."""
DISCOUNTS, PART_OF, RECEIVED = "discounts", "part_of", "received"
"""Relations: ``coupon:X discounts ITEM``, ``coupon:X part_of campaign:N``, ``USER received campaign:N``."""
OPEN = (-(2**62), 2**62)
"""Start and end of a campaign that does not say them."""


@dataclass(frozen=True)
class Offers:
    """All offers: the coupons of a campaign where it has some, else the campaign itself.

    Attributes:
        table: a row an offer: ``offer_id`` (of a coupon: ``coupon:CODE``), ``kind``, ``campaign_id``, ``title``,
            ``text`` (with the description, where there is one) and ``type`` (the campaign's ``kind``), in their order.
            A coupon of two campaigns is two offers.
        start: int64 (n,), unix seconds.
        end: int64 (n,), unix seconds.
        targets: n × items float32 CSR, 1 for what an offer is for; all items where a campaign names nothing, and none
            where it names what is not there.
        campaign: int32 (n,), row of the campaign.
        received: users × campaigns CSR, whom a campaign was sent to; an empty column: everybody may use it.
    """

    table: pl.DataFrame
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    targets: sparse.csr_matrix
    campaign: NDArray[np.int32]
    received: sparse.csr_matrix

    def __len__(self) -> int:
        return self.table.height

    @cached_property
    def code(self) -> NDArray[np.int64]:
        """A number for every offer's id, int64 (n,): the offers of one coupon have the same."""
        return self.table["offer_id"].rank("dense").cast(pl.Int64).to_numpy()

    def latest(self, rows: NDArray[np.integer]) -> NDArray[np.integer]:
        """Of some offers (rows), ascending, the one of every id that began last."""
        order = rows[np.lexsort((rows, self.start[rows], self.code[rows]))]
        last = np.append(self.code[order][1:] != self.code[order][:-1], True)[: len(order)]
        return np.sort(order[last])

    def running(self, now: int) -> NDArray[np.intp]:
        """Rows of those that can be used at a time (unix seconds); an end is the last day, which counts whole."""
        return np.flatnonzero((self.start <= now) & (now < self.end + 86_400))

    def for_some(self, items: NDArray[np.integer] | None) -> NDArray[np.bool_]:
        """Which are for one at least of some items (rows; ``None``: all), bool (n,)."""
        may = np.full(self.targets.shape[1], items is None)
        if items is not None:
            may[items[items < len(may)]] = True
        return np.asarray(self.targets @ may.astype(np.float32) > 0)

    def may_use(self, users: NDArray[np.integer], offers: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Who may use what, bool (users, offers); a user row of -1 is a stranger."""
        known = users >= 0
        sent = np.zeros((len(users), self.received.shape[1]), np.bool_)
        sent[known] = self.received[users[known]].toarray() > 0
        public = np.asarray(self.received.sum(axis=0)).ravel() == 0
        return np.asarray((sent | public)[:, self.campaign[offers]])


def build_offers(campaigns: pl.DataFrame, relations: pl.DataFrame, catalogue: Catalogue, users: Vocabulary) -> Offers:
    """Offers from validated tables.

    Args:
        campaigns: the campaigns table.
        relations: the relations table; what it says of other things is passed over.
        catalogue: the items.
        users: of the shop.
    """
    ids = Vocabulary(campaigns[c.CAMPAIGN_ID], "campaign")
    parts = _relation(relations, PART_OF, tail=ids)
    named = relations.filter(pl.col(c.RELATION) == DISCOUNTS)
    lists: dict[str, list[int]] = {}
    for coupon, item in zip(named[c.HEAD], catalogue.items.rows(named[c.TAIL]).tolist(), strict=True):
        lists.setdefault(coupon, []).append(item)
    divided = set(parts["tail"].to_list())
    rows: list[tuple[str, str, int]] = [
        (coupon, COUPON, campaign) for coupon, campaign in parts.select("head", "tail").rows() if coupon in lists
    ]
    rows += [(ids.id(row), CAMPAIGN, row) for row in range(len(ids)) if row not in divided]
    rows.sort(key=lambda row: (row[2], row[0]))
    own = [lists[offer] if kind == COUPON else _targets(campaigns, row, catalogue) for offer, kind, row in rows]
    campaign = np.array([row for _, _, row in rows], np.int32)
    told = [name for name in (c.TITLE, c.DESCRIPTION) if name in campaigns.columns]
    text = campaigns.select(pl.concat_str(told, separator=" ", ignore_nulls=True)).to_series()
    table = pl.DataFrame(
        {
            "offer_id": [offer for offer, _, _ in rows],
            c.KIND: [kind for _, kind, _ in rows],
            c.CAMPAIGN_ID: ids.take(campaign),
            c.TITLE: campaigns[c.TITLE].gather(campaign),
            c.TEXT: text.gather(campaign),
            "type": campaigns[c.KIND].gather(campaign) if c.KIND in campaigns.columns else [None] * len(rows),
        },
        schema=dict.fromkeys(("offer_id", c.KIND, c.CAMPAIGN_ID, c.TITLE, c.TEXT, "type"), pl.String),
    )
    sent = _relation(relations, RECEIVED, tail=ids)
    who = users.rows(sent["head"])
    received = sparse.csr_matrix(
        (np.ones(int((who >= 0).sum()), np.int8), (who[who >= 0], sent["tail"].to_numpy()[who >= 0])),
        shape=(len(users), len(ids)),
    )
    start, end = (
        _times(campaigns, name, default)[campaign] for name, default in zip((c.START, c.END), OPEN, strict=True)
    )
    return Offers(table, start, end, _matrix(own, len(catalogue)), campaign, received)


def _relation(relations: pl.DataFrame, name: str, *, tail: Vocabulary) -> pl.DataFrame:
    """Head and campaign row of the triples ``HEAD name campaign:N``."""
    some = relations.filter(pl.col(c.RELATION) == name, pl.col(c.TAIL).str.starts_with("campaign:"))
    row = tail.rows(some[c.TAIL].str.strip_prefix("campaign:"))
    return pl.DataFrame({"head": some[c.HEAD], "tail": row}).filter(pl.col("tail") >= 0)


def _targets(campaigns: pl.DataFrame, row: int, catalogue: Catalogue) -> list[int]:
    """Items that a campaign names, by id, category path or brand."""
    one = campaigns.row(row, named=True)
    found = np.zeros(len(catalogue), np.bool_)
    named = one.get(c.ITEM_IDS) or []
    items = catalogue.items.rows(pl.Series(named, dtype=pl.String))
    found[items[items >= 0]] = True
    path, brand = one.get(c.CATEGORY), one.get(c.BRAND)
    if path:
        below = [leaf for leaf, name in enumerate(catalogue.leaves) if name == path or name.startswith(f"{path} > ")]
        found |= np.isin(catalogue.leaf, below)
    if brand and brand in catalogue.brands:
        found |= catalogue.brand == catalogue.brands.index(brand)
    if not (named or path or brand):
        found[:] = True
    return np.flatnonzero(found).tolist()


def _times(campaigns: pl.DataFrame, name: str, default: int) -> NDArray[np.int64]:
    if name not in campaigns.columns:
        return np.full(campaigns.height, default, np.int64)
    return campaigns[name].fill_null(default).to_numpy().astype(np.int64)


def _matrix(lists: list[list[int]], n_items: int) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(len(lists)), [len(one) for one in lists]).astype(np.int64)
    items = np.array([item for one in lists for item in one], np.int64)
    known = items >= 0
    matrix = sparse.csr_matrix(
        (np.ones(int(known.sum()), np.float32), (rows[known], items[known])), shape=(len(lists), n_items)
    )
    matrix.data[:] = 1.0
    return matrix
