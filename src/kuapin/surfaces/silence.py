"""What is said where a surface has nothing to show: never an empty page without a word."""

import warnings

import polars as pl

NOTHING = {
    "campaigns": "no offer runs now that they may use and whose items may be shown",
    "trends": "nothing that may be shown rises beyond what was to be expected",
    "similar": "no history in the items of this release, or nothing like it that may be shown",
    "profile": "no history in the items of this release, or too short a one",
}
"""Surface → why it may have nothing to say."""


def with_a_word(table: pl.DataFrame, surface: str, asked: int) -> pl.DataFrame:
    """An answer as it is; where it is empty, with a warning that says why."""
    if table.height == 0 and asked:
        warnings.warn(f"No row of {surface}: {NOTHING.get(surface, 'nothing may be shown')}.", stacklevel=3)
    return table
