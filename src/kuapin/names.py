"""Names that somebody gave: which are meant, and what to say where one does not exist."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

MOST = 12
"""Names that are listed at most."""
COMPARED = 2_000
"""Among more names than this only those that begin alike are looked at: comparing takes a while."""


def offered(wanted: str, names: Sequence[str], what: str, *, also: Sequence[str] = ()) -> str:
    """The nearest name and those that exist: ``Did you mean Home? The categories are Beauty, Home, Toys.``.

    Args:
        wanted: what was given.
        names: those that are listed, the first ``MOST`` of them.
        what: they are, in the plural.
        also: further names that may have been meant.
    """
    meant = {name.casefold(): name for name in (*also, *names)}
    asked = wanted.casefold()
    alike = list(meant) if len(meant) <= COMPARED else [name for name in meant if name[:1] == asked[:1]][:COMPARED]
    near = get_close_matches(asked, alike, n=1)
    hint = f"Did you mean {meant[near[0]]}? " if near else ""
    if not names:
        return f"{hint}There are no {what}."
    return f"{hint}The {what} are {shortened(names)}."


def shortened(names: Sequence[str]) -> str:
    """The first of some names with commas, and how many more there are."""
    more = f" and {len(names) - MOST:,} more" if len(names) > MOST else ""
    return f"{', '.join(names[:MOST])}{more}"


def listed(text: str, known: Collection[str]) -> list[str]:
    """The names of a list with commas; a name that exists may have commas of its own, and the longest is meant.

    Args:
        text: the list, such as ``Arts, Crafts & Sewing, Home``.
        known: the names that exist; between two commas stands whatever else was given.
    """
    names, parts = [], text.split(",")
    while parts:
        n = next((n for n in range(len(parts), 1, -1) if ",".join(parts[:n]).strip() in known), 1)
        names.append(",".join(parts[:n]).strip())
        parts = parts[n:]
    return [name for name in names if name]
