"""Every rule that a table must keep. Nothing is dropped in silence: each breach is a ``Fault`` with its rows."""

import datetime as dt
from collections.abc import Collection, Mapping

import polars as pl

from kuapin import columns as c
from kuapin.data import parsing
from kuapin.data.column_names import likely_column
from kuapin.data.faults import Action, Fault, Faults, Validation
from kuapin.data.rules import RULES, check_targets, without_repeats
from kuapin.data.schema import EARLIEST, FUTURE_DAYS, SCHEMAS, Column, Kind, Schema

TAKEN = (
    "Times are unix seconds, or ISO 8601: 2026-11-23, 2026-11-23 15:04:05; with Z, UTC or +01:00 at the end or none."
)
"""The forms of a time that are read."""

_UNITS = ((1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds"))
_ORDER = (c.ITEMS, c.USERS, c.CAMPAIGNS, c.INTERACTIONS, c.RELATIONS, c.LABELS)
_RANK = {Action.REJECTED: 0, Action.LEFT_OUT: 1, Action.WARNING: 2}


def validate(
    tables: Mapping[str, pl.DataFrame],
    files: Mapping[str, str] | None = None,
    *,
    names: Mapping[str, Mapping[str, str]] | None = None,
    first_counts: Collection[str] = (),
    known_items: pl.DataFrame | None = None,
    known_campaigns: pl.Series | None = None,
    now: dt.datetime | None = None,
) -> Validation:
    """Check tables against the schema and against each other.

    Args:
        tables: table name → cells as a reader gave them.
        files: table name → file name for messages; without one the table's own name stands.
        names: table name → (our column name → the file's), where an importer renamed columns.
        first_counts: tables where, of rows with one id, the first is kept; elsewhere they are a reason to reject.
        known_items: items that the shop has already: item_id, and category and brand where it has them.
        known_campaigns: ids of campaigns that the shop has already.
        now: the moment that "in the future" is measured from; ``None``: the clock.

    Returns:
        The tables in their declared dtypes without the rows that are left out, and every fault. A rejected table is
        not among them: ask ``Validation.require`` before using the rest.
    """
    now = now or dt.datetime.now(dt.UTC)
    kept: dict[str, pl.DataFrame] = {}
    read: dict[str, pl.DataFrame] = {}  # rejected ones too: their ids are known, so that one fault is told once
    found: list[Fault] = []
    for table in _ORDER:
        if table not in tables:
            continue
        faults = Faults(table, (files or {}).get(table, table), (names or {}).get(table))
        frame = _shaped(tables[table], SCHEMAS[table], faults, now)
        if frame is not None and table in first_counts:
            frame = without_repeats(frame, faults, SCHEMAS[table].key[0])
        if frame is not None:
            known = [one for one in (read.get(c.ITEMS), known_items) if one is not None]
            items = _union(read.get(c.ITEMS), c.ITEM_ID, None if known_items is None else known_items[c.ITEM_ID])
            campaigns = _union(read.get(c.CAMPAIGNS), c.CAMPAIGN_ID, known_campaigns)
            read[table] = frame
            frame = RULES[table](frame, faults, items, campaigns)
        if frame is not None and table == c.CAMPAIGNS:
            check_targets(frame, faults, _of_items(known))
        if frame is not None and not faults.rejected:
            kept[table] = frame
        found += faults.found
    return Validation(kept, tuple(sorted(found, key=lambda fault: _RANK[fault.action])))


def _union(frame: pl.DataFrame | None, column: str, known: pl.Series | None) -> pl.Series:
    parts = [series.rename("id") for series in (None if frame is None else frame[column], known) if series is not None]
    return pl.concat(parts) if parts else pl.Series("id", [], dtype=pl.String)


def _of_items(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Item_id, category and brand of the items of some tables, null where a table lacks the column."""
    empty = pl.DataFrame(schema=dict.fromkeys((c.ITEM_ID, c.CATEGORY, c.BRAND), pl.String))
    some = [part.select(name for name in empty.columns if name in part.columns) for part in parts]
    return pl.concat([empty, *some], how="diagonal")


def _shaped(frame: pl.DataFrame, schema: Schema, faults: Faults, now: dt.datetime) -> pl.DataFrame | None:
    """The frame in its declared dtypes; ``None`` where a required column is missing or there is no row."""
    for name in schema.required:
        if name not in frame.columns:
            faults.add(Action.REJECTED, "missing column", _missing_column(name, frame.columns), column=name)
    if frame.height == 0:
        faults.add(Action.REJECTED, "empty table", "an empty table. Give at least one row.")
    if faults.rejected:
        return None
    declared = {column.name: column for column in schema.columns}
    columns = []
    for name in frame.columns:
        values = frame[name]
        if name in declared:
            columns.append(_parsed(values, declared[name], faults, now))
        elif values.dtype != pl.Null:
            columns.append(parsing.attribute(values))
    return pl.DataFrame(columns)


def _missing_column(name: str, came: list[str]) -> str:
    other = likely_column(name, came)
    hint = f"Rename {other} to {name}?" if other else f"Add the column {name}, or rename the one that holds it."
    return f"this required column is missing; {', '.join(came[:12]) or 'no column'} came. {hint}"


def _parsed(values: pl.Series, column: Column, faults: Faults, now: dt.datetime) -> pl.Series:
    read, bad = parsing.parse(values, column.kind)
    if column.kind is Kind.TIME and parsing.is_mixed_time(values):
        iso = values.str.contains(r"^\d{4}-\d{2}-\d{2}").fill_null(value=False)
        faults.add(
            Action.REJECTED,
            "mixed times",
            "some rows hold unix seconds and some ISO 8601. Write all of them in one way.",
            column=column.name,
            mask=iso if iso.sum() * 2 <= iso.len() else ~iso & values.is_not_null(),
            values=values,
        )
    faults.add(Action.REJECTED, "unreadable value", _readable(column.kind), column=column.name, mask=bad, values=values)
    if column.kind is Kind.TIME:
        _check_times(values, read, column, faults, now)
    else:
        _check_bounds(values, read, column, faults)
    return read


def _readable(kind: Kind) -> str:
    expected = {
        Kind.TIME: f"this is no time. {TAKEN} Correct the row or drop the column.",
        Kind.FLAG: "true or false was expected. Correct the row or drop the column.",
        Kind.WHOLE: "a whole number was expected. Correct the row or drop the column.",
        Kind.NUMBER: "a finite number was expected, without currency or unit. Correct the row or drop the column.",
        Kind.ID: "an id is a text or a whole number. Write ids as text.",
        Kind.IDS: 'a list of ids is a list, a JSON array, or ids separated by "|". Correct the row.',
    }
    return expected.get(kind, "this cannot be read.")


def _check_bounds(values: pl.Series, read: pl.Series, column: Column, faults: Faults) -> None:
    if column.low is None:
        return
    outside = read < column.low
    rule = f"{column.name} is at least {column.low:g}"
    if column.high is not None:
        outside |= read > column.high
        rule += f" and at most {column.high:g}"
    mask = outside.fill_null(value=False)
    advice = f"{rule}. Correct the row or drop the column."
    faults.add(Action.REJECTED, "out of range", advice, column=column.name, mask=mask, values=values)


def _check_times(values: pl.Series, read: pl.Series, column: Column, faults: Faults, now: dt.datetime) -> None:
    latest = now + dt.timedelta(days=FUTURE_DAYS)
    early = (read < int(EARLIEST.timestamp())).fill_null(value=False)
    late = (read > int(latest.timestamp())).fill_null(value=False)
    if column.future:
        late &= read > int(dt.datetime(2200, 1, 1, tzinfo=dt.UTC).timestamp())
    read_as = _as_read(read.filter(early | late), values.filter(early | late))
    taken = f"{TAKEN} " if read_as else ""
    unit = _unit(read.filter(late), latest.timestamp())
    if unit:
        rule, advice = "times in another unit", f"this is unix time in {unit}; seconds are expected. Divide it."
    elif column.future:
        rule, advice = (
            "time out of range",
            f"{read_as}times lie between 1990 and 2200. {taken}Correct the row or drop the column.",
        )
    else:
        rule, advice = (
            "time out of range",
            f"{read_as}times lie between 1990-01-01 and {latest:%Y-%m-%d}. {taken}Correct the row, or drop the column: "
            "the order of the rows then stands for time.",
        )
    faults.add(Action.REJECTED, rule, advice, column=column.name, mask=early | late, values=values)


def _as_read(read: pl.Series, values: pl.Series) -> str:
    """How the first of some cells was read, where that is not what stands there; else nothing."""
    if read.len() == 0 or not parsing.is_number(values[0]):
        return ""
    seconds = int(read[0])
    try:
        day = f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        day = "beyond the calendar"
    return f"read as unix seconds, this is {day}{_if_a_date(str(seconds))}; "


def _if_a_date(digits: str) -> str:
    """A remark where a number looks like a date, 20260901, or one with a time behind it."""
    try:
        day = dt.datetime.strptime(digits[:8], "%Y%m%d").replace(tzinfo=dt.UTC)
    except ValueError:
        return ""
    return f" (a date is written {day:%Y-%m-%d})" if day >= EARLIEST and len(digits) in (8, 12, 14) else ""


def _unit(late: pl.Series, latest: float) -> str | None:
    if late.len() == 0:
        return None
    middle = float(late.cast(pl.Float64).median())  # type: ignore[arg-type]
    return next((name for factor, name in _UNITS if EARLIEST.timestamp() <= middle / factor <= latest), None)
