"""How figures are written."""

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

NOTHING = "–"


def number(value: float | None, digits: int = 0) -> str:
    """1,234 or 0.123; a dash where there is none."""
    return NOTHING if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def share(value: float | None, digits: int = 0) -> str:
    """0.123 as 12 %."""
    return NOTHING if value is None or math.isnan(value) else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def signed(value: float | None) -> str:
    """0.123 as +12 %."""
    return NOTHING if value is None or math.isnan(value) else f"{100 * value:+.0f}\N{NO-BREAK SPACE}%"


def day(seconds: float | None) -> str:
    """Unix seconds as 2026-11-24 (UTC)."""
    return NOTHING if seconds is None else f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d}"


def moment(stamp: str | float | None) -> str:
    """ISO 8601, or unix seconds, as 2026-11-24 15:47 (UTC)."""
    if not stamp:
        return NOTHING
    when = dt.datetime.fromisoformat(stamp) if isinstance(stamp, str) else dt.datetime.fromtimestamp(stamp, dt.UTC)
    return f"{when.astimezone(dt.UTC):%Y-%m-%d %H:%M}"


def size(n_bytes: float) -> str:
    """Bytes as 12.3 MB."""
    return f"{n_bytes / 1e6:,.1f}\N{NO-BREAK SPACE}MB"


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "share": share,
    "signed": signed,
    "day": day,
    "moment": moment,
    "size": size,
}
"""For the templates."""
