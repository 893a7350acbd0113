"""The rules of each table, once its cells are read: ids, references to other tables, and remarks on what is missing."""

from collections.abc import Callable
from difflib import get_close_matches

import polars as pl

from kuapin import columns as c
from kuapin.data.column_names import likely_column
from kuapin.data.faults import UNKNOWN_ITEM, Action, Faults

Rule = Callable[[pl.DataFrame, Faults, pl.Series, pl.Series], pl.DataFrame | None]
"""(table in its declared dtypes, where faults go, known item ids, known campaign ids) → the rows that are kept."""


def _no_null_ids(frame: pl.DataFrame, faults: Faults, *columns: str) -> None:
    for name in columns:
        faults.add(
            Action.REJECTED,
            "null id",
            "this required value is missing. Complete the row or delete it.",
            column=name,
            mask=frame[name].is_null(),
        )


def _no_duplicates(frame: pl.DataFrame, faults: Faults, key: str) -> None:
    ids = frame[key]
    faults.add(
        Action.REJECTED,
        "duplicate id",
        "this id stands in an earlier row too. Delete one of the rows.",
        column=key,
        mask=~ids.is_first_distinct() & ids.is_not_null(),
        values=ids,
    )


def without_repeats(frame: pl.DataFrame, faults: Faults, key: str) -> pl.DataFrame:
    """The first row of every id, for sources that are known to repeat rows; rows without an id stay, to be rejected."""
    repeated = ~frame[key].is_first_distinct() & frame[key].is_not_null()
    advice = "this id stands in an earlier row too; the first is kept. Left out."
    faults.add(Action.LEFT_OUT, "repeated id", advice, column=key, mask=repeated, values=frame[key])
    faults.rows = (~repeated).arg_true() + 1
    return frame.filter(~repeated)


def _blank(values: pl.Series) -> pl.Series:
    return values.is_null() | (values.str.strip_chars() == "")


def _items(frame: pl.DataFrame, faults: Faults, _items: pl.Series, _campaigns: pl.Series) -> pl.DataFrame:
    _no_null_ids(frame, faults, c.ITEM_ID)
    _no_duplicates(frame, faults, c.ITEM_ID)
    if c.TITLE not in frame.columns:
        advice = "this column is missing; the text of an item then comes from its other columns."
        faults.add(Action.WARNING, "no titles", advice, column=c.TITLE)
    else:
        advice = "these items have no title; their text comes from the other columns."
        faults.add(Action.WARNING, "empty title", advice, column=c.TITLE, mask=_blank(frame[c.TITLE]))
    if c.CATEGORY not in frame.columns or frame[c.CATEGORY].null_count() == frame.height:
        advice = f"no item has a category; all of them are in {c.NO_CATEGORY}."
        faults.add(Action.WARNING, "no categories", advice, column=c.CATEGORY)
    else:
        blank = _blank(frame[c.CATEGORY])
        advice = f"these items have no category; they are in {c.NO_CATEGORY}."
        faults.add(Action.WARNING, "empty category", advice, column=c.CATEGORY, mask=blank)
        tops = frame[c.CATEGORY].str.split(">").list.first().str.strip_chars()
        if tops.n_unique() == 1:
            advice = "there is one top-level category only; nothing can be learnt across categories."
            faults.add(Action.WARNING, "one category", advice, column=c.CATEGORY)
    return frame


def _interactions(frame: pl.DataFrame, faults: Faults, items: pl.Series, campaigns: pl.Series) -> pl.DataFrame | None:
    _check_events(frame, faults)
    if items.len() == 0:
        advice = "the shop has no items yet. Import the items first, or together with the interactions."
        faults.add(Action.REJECTED, "no items", advice)
        return None
    without_user, without_item = frame[c.USER_ID].is_null(), frame[c.ITEM_ID].is_null() & ~_needs_no_item(frame)
    unknown = frame[c.ITEM_ID].is_not_null() & ~frame[c.ITEM_ID].is_in(items.implode())
    if (unknown | without_item).all():
        advice = "none of the items of this table is known. Import the items first, or check which column is the id."
        mask, values = unknown | without_item, frame[c.ITEM_ID]
        faults.add(Action.REJECTED, "unknown items", advice, column=c.ITEM_ID, mask=mask, values=values)
        return None
    advice = "an interaction needs a user. Left out."
    faults.add(Action.LEFT_OUT, "null user", advice, column=c.USER_ID, mask=without_user)
    advice = "an interaction needs an item, but for searches and redemptions of a campaign. Left out."
    faults.add(Action.LEFT_OUT, "null item", advice, column=c.ITEM_ID, mask=without_item & ~without_user)
    advice = "there is no such item. Left out; import the items, then this file again."
    mask = unknown & ~without_user
    faults.add(Action.LEFT_OUT, UNKNOWN_ITEM, advice, column=c.ITEM_ID, mask=mask, values=frame[c.ITEM_ID])
    repeated = _repeated_event_ids(frame)
    advice = "this event_id stands in an earlier row too; the first is kept. Left out."
    mask = repeated & ~(without_user | without_item | unknown)
    if c.EVENT_ID in frame.columns:
        faults.add(Action.LEFT_OUT, "repeated event", advice, column=c.EVENT_ID, mask=mask, values=frame[c.EVENT_ID])
    _check_campaigns(frame, faults, campaigns)
    kept = frame.filter(~(without_user | without_item | unknown | repeated))
    _remark_on_log(kept, faults, frame)
    return kept


def _needs_no_item(frame: pl.DataFrame) -> pl.Series:
    """Searches, and redemptions that name a campaign: a coupon is for many items, which was bought is not known."""
    none = pl.Series([False]).new_from_index(0, frame.height)
    if c.EVENT not in frame.columns:
        return none
    searches = frame[c.EVENT].eq_missing("search")
    if c.CAMPAIGN_ID not in frame.columns:
        return searches
    return searches | (frame[c.EVENT].eq_missing("redeem") & frame[c.CAMPAIGN_ID].is_not_null())


def _repeated_event_ids(frame: pl.DataFrame) -> pl.Series:
    if c.EVENT_ID not in frame.columns:
        return pl.Series([False]).new_from_index(0, frame.height)
    return frame[c.EVENT_ID].is_not_null() & ~frame[c.EVENT_ID].is_first_distinct()


def _check_events(frame: pl.DataFrame, faults: Faults) -> None:
    if c.EVENT not in frame.columns:
        return
    names = frame[c.EVENT]
    strange = names.is_not_null() & ~names.is_in(list(c.EVENTS))
    if not strange.any():
        return
    near = get_close_matches(str(names.filter(strange)[0]).lower(), c.EVENTS, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    advice = f"an event is one of {', '.join(c.EVENTS)}.{hint}"
    faults.add(Action.REJECTED, "unknown event", advice, column=c.EVENT, mask=strange, values=names)


def _check_campaigns(frame: pl.DataFrame, faults: Faults, campaigns: pl.Series) -> None:
    if c.CAMPAIGN_ID not in frame.columns:
        return
    ids = frame[c.CAMPAIGN_ID]
    advice = "there is no such campaign; the interactions are kept. Import the campaigns."
    mask = ids.is_not_null() & ~ids.is_in(campaigns.implode())
    faults.add(Action.WARNING, "unknown campaign", advice, column=c.CAMPAIGN_ID, mask=mask, values=ids)


def _remark_on_log(kept: pl.DataFrame, faults: Faults, whole: pl.DataFrame) -> None:
    times = whole[c.TIMESTAMP] if c.TIMESTAMP in whole.columns else None
    if times is None or times.null_count() == times.len():
        other = likely_column(c.TIMESTAMP, whole.columns) if times is None else None
        hint = f" If {other} is the time, rename it to timestamp before you import." if other else ""
        advice = f"there are no times: the order of the rows stands for time, within one user only.{hint}"
        faults.add(Action.WARNING, "no times", advice, column=c.TIMESTAMP)
    else:
        advice = "these rows have no time: the whole log is read as order-free until every row has one."
        faults.add(Action.WARNING, "missing time", advice, column=c.TIMESTAMP, mask=times.is_null())
    if kept[c.USER_ID].n_unique() == 1:
        advice = "there is one user only; nothing can be learnt from other users."
        faults.add(Action.WARNING, "one user", advice, column=c.USER_ID)


def _users(frame: pl.DataFrame, faults: Faults, _items: pl.Series, _campaigns: pl.Series) -> pl.DataFrame:
    _no_null_ids(frame, faults, c.USER_ID)
    _no_duplicates(frame, faults, c.USER_ID)
    return frame


def _campaigns(frame: pl.DataFrame, faults: Faults, items: pl.Series, _known: pl.Series) -> pl.DataFrame:
    _no_null_ids(frame, faults, c.CAMPAIGN_ID, c.TITLE)
    _no_duplicates(frame, faults, c.CAMPAIGN_ID)
    if c.START in frame.columns and c.END in frame.columns:
        backwards = (frame[c.END] < frame[c.START]).fill_null(value=False)
        advice = "a campaign ends after it starts. Correct the row."
        faults.add(Action.REJECTED, "ends before it starts", advice, column=c.END, mask=backwards, values=frame[c.END])
    if c.ITEM_IDS in frame.columns:
        unknown = frame.select(
            pl.col(c.ITEM_IDS).list.eval(~pl.element().is_in(items.implode())).list.any().fill_null(value=False)
        ).to_series()
        advice = "some items of this campaign are not in the shop; the campaign is kept."
        faults.add(Action.WARNING, UNKNOWN_ITEM, advice, column=c.ITEM_IDS, mask=unknown)
    advice = "this campaign names no item, category or brand: it counts as one for all items."
    faults.add(Action.WARNING, "no target", advice, column=c.CAMPAIGN_ID, mask=~_named(frame))
    return frame


def _named(frame: pl.DataFrame) -> pl.Series:
    """Which campaigns name a target."""
    named = pl.Series([False]).new_from_index(0, frame.height)
    if c.ITEM_IDS in frame.columns:
        named |= (frame[c.ITEM_IDS].list.len() > 0).fill_null(value=False)
    for name in (c.CATEGORY, c.BRAND):
        if name in frame.columns:
            named |= ~_blank(frame[name])
    return named


def check_targets(frame: pl.DataFrame, faults: Faults, items: pl.DataFrame) -> None:
    """Remark on campaigns whose targets are not in the shop.

    Args:
        frame: the campaigns.
        faults: where the remarks go.
        items: item_id, category and brand of all items, as far as the shop has them.
    """
    found = pl.Series([False]).new_from_index(0, frame.height)
    if c.ITEM_IDS in frame.columns:
        known = pl.col(c.ITEM_IDS).list.eval(pl.element().is_in(items[c.ITEM_ID].implode())).list.any()
        found |= frame.select(known.fill_null(value=False)).to_series()
    for name, names in ((c.CATEGORY, _paths(items)), (c.BRAND, items[c.BRAND])):
        if name in frame.columns:
            there = frame[name].is_in(names.implode()).fill_null(value=False)
            advice = (
                f"no item of the shop has this {name}; the campaign is kept. Correct the name, or import the items."
            )
            mask = ~there & ~_blank(frame[name])
            faults.add(Action.WARNING, "unknown target", advice, column=name, mask=mask, values=frame[name])
            found |= there
    advice = "nothing that this campaign names is in the shop: it is for no item, and nobody is shown it."
    faults.add(Action.WARNING, "no known target", advice, column=c.CAMPAIGN_ID, mask=_named(frame) & ~found)


def _paths(items: pl.DataFrame) -> pl.Series:
    """All category paths of the shop, those above the items' own among them."""
    steps = [path.split(c.CATEGORY_SEPARATOR) for path in items[c.CATEGORY].drop_nulls().unique()]
    paths = {c.CATEGORY_SEPARATOR.join(path[:depth]) for path in steps for depth in range(1, len(path) + 1)}
    return pl.Series(sorted(paths), dtype=pl.String)


OF_ITEMS = ("compatible_with", "incompatible_with", "accessory_of", "goes_with", "substitute_of", "requires")
"""Relations that hold between two items."""


def _relations(frame: pl.DataFrame, faults: Faults, items: pl.Series, _campaigns: pl.Series) -> pl.DataFrame:
    _no_null_ids(frame, faults, c.HEAD, c.RELATION, c.TAIL)
    between = frame[c.RELATION].is_in(OF_ITEMS).fill_null(value=False)
    for name in (c.HEAD, c.TAIL):
        advice = "there is no such item; the relation is kept and does nothing. Import the item, or correct the id."
        mask = between & ~frame[name].is_in(items.implode()).fill_null(value=False)
        faults.add(Action.WARNING, UNKNOWN_ITEM, advice, column=name, mask=mask, values=frame[name])
    return frame


def _labels(frame: pl.DataFrame, faults: Faults, items: pl.Series, _campaigns: pl.Series) -> pl.DataFrame:
    _no_null_ids(frame, faults, c.ITEM_ID, c.TASK, c.LABEL)
    unknown = frame[c.ITEM_ID].is_not_null() & ~frame[c.ITEM_ID].is_in(items.implode())
    advice = "there is no such item. Left out; import the items, then this file again."
    faults.add(Action.LEFT_OUT, UNKNOWN_ITEM, advice, column=c.ITEM_ID, mask=unknown, values=frame[c.ITEM_ID])
    return frame.filter(~unknown)


RULES: dict[str, Rule] = {
    c.ITEMS: _items,
    c.INTERACTIONS: _interactions,
    c.USERS: _users,
    c.CAMPAIGNS: _campaigns,
    c.RELATIONS: _relations,
    c.LABELS: _labels,
}
