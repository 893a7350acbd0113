"""The surface ``home``: all surfaces in one answer, each with its share of the rows, and no item twice."""

from collections.abc import Mapping

import polars as pl

from kuapin import columns as c
from kuapin.surfaces.profile import DUE

NAME = "home"
SHARES = {
    "products": 0.35,
    "bundles": 0.15,
    "similar": 0.1,
    "brands": 0.1,
    "campaigns": 0.1,
    "trends": 0.15,
    "profile": 0.05,
}
"""Share of the rows that each surface has, in the order of the page."""


def quotas(n: int, shares: Mapping[str, float]) -> dict[str, int]:
    """``n`` rows by share, which need not add up to 1: whole numbers, the largest remainders rounded up."""
    total = sum(shares.values()) or 1.0
    exact = {name: n * share / total for name, share in shares.items()}
    rows = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: rows[name] - exact[name])[: n - sum(rows.values())]:
        rows[name] += 1
    return rows


def compose(answers: Mapping[str, pl.DataFrame], n: int, shares: Mapping[str, float] | None = None) -> pl.DataFrame:
    """One page a user out of the answers of the surfaces.

    Args:
        answers: surface → its answer to the same users, longer than its share: others show some of it.
        n: rows of a page.
        shares: surface → share; ``None``: ``SHARES``.

    Returns:
        Per user the surfaces in the order of the shares, ``surface`` saying which; ``rank`` counts within a surface.
        What an earlier surface shows is passed over, and what a surface leaves free the others fill in their order.
    """
    shares = shares or SHARES
    order = [name for name in shares if name in answers and answers[name].height]
    if not order:
        return next(iter(answers.values()))
    users = pl.concat([answers[name][c.USER_ID] for name in order]).unique(maintain_order=True)
    of_user = {name: answers[name].partition_by(c.USER_ID, as_dict=True) for name in order}
    pages = []
    for user in users:
        parts = {name: of_user[name][(user,)] for name in order if (user,) in of_user[name]}
        for name, rows in _taken(parts, n, {name: shares[name] for name in parts}).items():
            ranks = pl.int_range(1, len(rows) + 1, dtype=pl.Int32, eager=True).alias(c.RANK)
            pages.append(parts[name][rows].select(c.RECOMMENDATION).with_columns(ranks))
    return pl.concat(pages)


def _taken(parts: Mapping[str, pl.DataFrame], n: int, shares: Mapping[str, float]) -> dict[str, list[int]]:
    """Rows that every surface shows: first its quota, then whatever is left free."""
    quota, seen = quotas(n, shares), set[tuple[str, str]]()
    taken: dict[str, list[int]] = {name: [] for name in shares}
    for filling in (False, True):
        for name in shares:
            keys = zip(parts[name][c.KIND], parts[name][c.TARGET_ID], strict=True)
            for row, (kind, target) in enumerate(keys):
                full = len(seen) >= n if filling else len(taken[name]) >= quota[name]
                if full:
                    break
                key = ("item" if kind == DUE else kind, target)
                if key not in seen:
                    seen.add(key)
                    taken[name].append(row)
    return taken
