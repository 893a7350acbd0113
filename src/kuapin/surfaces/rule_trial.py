"""What each rule changes in one list: the list with all rules beside the list with all but that one."""

from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from kuapin import columns as c


class Change(NamedTuple):
    """What a rule does to a list, beside the same list without it.

    Attributes:
        rule: its name.
        kind: of rule.
        line: of the file.
        came: items that are in the list because of it, best first.
        went: items that would be in the list without it.
        moved: item, its rank without the rule, its rank with it; of those whose order among the items of both lists
            changed.
    """

    rule: str
    kind: str
    line: int
    came: list[str]
    went: list[str]
    moved: list[tuple[str, int, int]]


@dataclass(frozen=True)
class Trial:
    """One user's list and what every rule did to it.

    Attributes:
        table: the list with all rules, explained.
        changes: one a rule, in the order of the file.
    """

    table: pl.DataFrame
    changes: tuple[Change, ...]


def change(rule: str, kind: str, line: int, with_it: pl.DataFrame, without: pl.DataFrame) -> Change:
    """Compare two answers for one user."""
    now, then = with_it[c.TARGET_ID].to_list(), without[c.TARGET_ID].to_list()
    kept_now = [item for item in now if item in then]
    kept_then = [item for item in then if item in now]
    moved = [
        (item, then.index(item) + 1, now.index(item) + 1)
        for item, other in zip(kept_now, kept_then, strict=True)
        if item != other
    ]
    came = [item for item in now if item not in then]
    return Change(rule, kind, line, came, [item for item in then if item not in now], moved)
