"""What is wrong with a table, told so that a person can mend it: file, row, column, rule, value, next step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

from kuapin.counts import counted
from kuapin.errors import InputError

EXAMPLES = 5
"""How many rows a fault quotes."""

UNKNOWN_ITEM = "unknown item"
"""The rule that a later import of items can mend."""

_VALUE_LENGTH = 60


class Action(StrEnum):
    """What became of the rows: the file is refused, the rows stay outside, or they are kept with a remark."""

    REJECTED = "rejected"
    LEFT_OUT = "left out"
    WARNING = "warning"


@dataclass(frozen=True)
class Fault:
    """One rule that some rows of a table break.

    Attributes:
        table: the table's name.
        file: the file's name.
        rule: a short name of the rule (``duplicate id``), stable for programs.
        column: the column, as the file spells it; ``None`` where the fault is the whole table's.
        action: what became of the rows.
        count: how many rows.
        rows: the first few, counted from 1; empty where the fault is the whole table's.
        values: what stood there, shortened.
        advice: the rule in words and the next step.
    """

    table: str
    file: str
    rule: str
    column: str | None
    action: Action
    count: int
    advice: str
    rows: tuple[int, ...] = ()
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for a person."""
        place = self.file + (f" row {self.rows[0]}" if self.rows else "")
        what = self.column or ""
        if self.column and self.values:
            what = f"{self.column} is {self.values[0]}; "
        elif self.column:
            what = f"{self.column}: "
        more = f" ({self.count:,} rows in all, among them {', '.join(map(str, self.rows))})" if self.count > 1 else ""
        return " ".join(f"{place}: {what}{self.advice}{more}".split("\n"))  # a file or column name may hold anything


@dataclass(frozen=True)
class Validation:
    """The outcome of checking tables.

    Attributes:
        tables: what is kept, in the declared dtypes; of a rejected table, nothing.
        faults: everything found, rejections first.
    """

    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def of(self, action: Action) -> tuple[Fault, ...]:
        """The faults that led to one action."""
        return tuple(fault for fault in self.faults if fault.action is action)

    @property
    def left_out(self) -> int:
        """How many rows stayed outside."""
        return sum(fault.count for fault in self.of(Action.LEFT_OUT))

    def require(self) -> None:
        """Nothing where no table was rejected.

        Raises:
            InputError: the first reason for a rejection, and how many more there are.
        """
        rejected = self.of(Action.REJECTED)
        if rejected:
            more = (
                f" (and {counted(len(rejected) - 1, 'more reason', 'more reasons')} to reject these files)"
                if len(rejected) > 1
                else ""
            )
            raise InputError(f"{rejected[0]}{more}")


class Faults:
    """Collects the faults of one table.

    Args:
        table: the table's name.
        file: the file's name, for messages.
        names: our column names → the file's, where an importer renamed them.

    Attributes:
        found: the faults so far.
        rows: the file's row numbers of the rows that masks speak of, where some were left out; ``None``: 1 … n.
    """

    def __init__(self, table: str, file: str, names: Mapping[str, str] | None = None) -> None:
        self.table = table
        self.file = file
        self.found: list[Fault] = []
        self.rows: pl.Series | None = None
        self._names = names or {}

    def add(
        self,
        action: Action,
        rule: str,
        advice: str,
        *,
        column: str | None = None,
        mask: pl.Series | None = None,
        values: pl.Series | None = None,
    ) -> bool:
        """Record a rule that some rows, or the whole table, break.

        Args:
            action: what becomes of the rows.
            rule: its short name.
            advice: the rule in words and the next step.
            column: our name of the column.
            mask: bool (n,), the rows concerned; ``None``: the whole table. Nothing is recorded where none is true.
            values: (n,), the cells to quote.

        Returns:
            Whether any row breaks the rule.
        """
        count, places = 1, pl.Series([], dtype=pl.UInt32)
        if mask is not None:
            count = int(mask.sum())
            if count == 0:
                return False
            places = mask.arg_true().head(EXAMPLES)
        numbers = places + 1 if self.rows is None else self.rows.gather(places)
        cells = () if values is None else tuple(_shown(value) for value in values.gather(places))
        name = None if column is None else self._names.get(column, column)
        self.found.append(
            Fault(self.table, self.file, rule, name, action, count, advice, tuple(map(int, numbers)), cells)
        )
        return True

    @property
    def rejected(self) -> bool:
        """Whether the table is refused."""
        return any(fault.action is Action.REJECTED for fault in self.found)


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"
