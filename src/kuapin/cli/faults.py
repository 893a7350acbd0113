"""Faults of tables, printed."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from kuapin.cli.output import say

if TYPE_CHECKING:
    from kuapin.data.faults import Fault


def say_faults(faults: Sequence["Fault"]) -> None:
    """One line a fault: what became of the rows, then file, row, column and rule."""
    for fault in faults:
        say(f"{fault.action.value}: {fault}")


def plain_fault(fault: "Fault") -> dict[str, object]:
    """A fault for JSON."""
    return asdict(fault)
