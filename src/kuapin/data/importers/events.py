"""What other systems call our events."""

import polars as pl

from kuapin import columns as c

_NAMES = {
    "view": ("read", "detail", "pageview", "productview", "productviewed", "detailpageview", "watch", "play"),
    "click": ("tap", "open"),
    "cart": ("addtocart", "basket", "addtobasket", "productadded"),
    "purchase": ("buy", "order", "transaction", "checkout", "ordercompleted", "orderplaced", "purchased"),
    "favourite": ("favorite", "fav", "like", "star", "bookmark", "wishlist", "addtowishlist", "collect"),
    "share": ("forward", "recommend"),
    "rating": ("rate", "rated", "score"),
    "review": ("comment", "reviewed"),
    "search": ("query",),
    "impression": ("impressions", "exposure", "show"),
    "redeem": ("redemption", "couponredeem"),
}
_KNOWN = {name: name for name in c.EVENTS} | {other: ours for ours, others in _NAMES.items() for other in others}


def our_events(names: pl.Series) -> pl.Series:
    """Event names of another system as ours; a name that is not known stays, and the validation tells it."""
    plain = names.cast(pl.String).str.to_lowercase().str.replace_all(r"[^a-z]", "")
    known = plain.replace_strict(_KNOWN, default=None, return_dtype=pl.String)
    return known.fill_null(names.cast(pl.String)).alias(names.name)
