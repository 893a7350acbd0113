"""How far the newest stretch of a shop lies from what its model has learnt from: which part moved, and how much.

Shares are compared by the population stability index, Σ (q - p) · ln(q / p) over bins (Siddiqi 2006), p what the model
knows and q what is new; by custom below 0.1 nothing moved, above 0.25 much did. Counts are smoothed by half an
observation a bin, and what so few observations would show by chance alone, (bins - 1) · (1/n + 1/m), is taken off: that
is its expectation where nothing moved (the index is a chi-square statistic there, Yurdakul 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SOME, MUCH = 0.1, 0.25
HEAD = 100
"""Items, the most met, among which a change of favourites is looked for; what is less met is one bin."""
MOVERS = 3
BINS = 10


@dataclass(frozen=True)
class Moved:
    """One part of a shop, before and now.

    Attributes:
        part: what it is.
        index: population stability index, chance taken off; 0 and more.
        told: the greatest changes, in words.
    """

    part: str
    index: float
    told: str

    @property
    def much(self) -> bool:
        """Whether it moved so far that what was learnt may not hold."""
        return self.index > MUCH

    @property
    def size(self) -> str:
        """In a word."""
        return "much" if self.much else "some" if self.index > SOME else "none"


def stability_index(before: NDArray[np.floating], now: NDArray[np.floating]) -> float:
    """Of counts (bins,) before and now; 0 where one of them is empty."""
    n, m = float(before.sum()), float(now.sum())
    used = (before + now) > 0
    if n == 0 or m == 0 or used.sum() < 2:
        return 0.0
    p, q = ((one[used] + 0.5) / (one.sum() + 0.5 * used.sum()) for one in (before, now))
    by_chance = (used.sum() - 1) * (1 / n + 1 / m)
    index = float(((q - p) * np.log(q / p)).sum())
    return max(0.0, index - float(by_chance))


def share_moved(part: str, before: NDArray[np.integer], now: NDArray[np.integer], names: Sequence[str]) -> Moved:
    """Codes of what was met before and now, (n,) and (m,): categories, events, brands.

    Args:
        part: what they are.
        before: codes, indices into ``names``.
        now: likewise.
        names: of the codes.
    """
    counts = [np.bincount(codes, minlength=len(names)).astype(np.float64) for codes in (before, now)]
    p, q = (count / max(count.sum(), 1.0) for count in counts)
    order = np.argsort(-np.abs(q - p), kind="stable")[:MOVERS]
    told = ", ".join(
        f"{names[code]} {p[code]:.0%} → {q[code]:.0%}" for code in order if abs(q[code] - p[code]) >= 0.005
    )
    return Moved(part, stability_index(*counts), told or "no share moved by half a percent")


def favourites_moved(before: NDArray[np.integer], now: NDArray[np.integer], n_items: int) -> Moved:
    """Item rows met before and now, (n,) and (m,): whether the items that sell are still the same."""
    counts = [np.bincount(rows, minlength=n_items).astype(np.float64) for rows in (before, now)]
    heads = [np.argsort(-count, kind="stable")[: min(HEAD, np.count_nonzero(count))] for count in counts]
    head = np.union1d(*heads)
    binned = [np.append(count[head], count.sum() - count[head].sum()) for count in counts]
    came = len(np.setdiff1d(heads[1], heads[0]))
    fresh = float(counts[1][counts[0] == 0].sum() / max(counts[1].sum(), 1.0))
    told = f"{came} of the {len(heads[1])} most met were not among them; {fresh:.0%} went to items never met before"
    return Moved("popularity", stability_index(binned[0], binned[1]), told)


def scores_moved(before: NDArray[np.floating], now: NDArray[np.floating]) -> Moved:
    """Scores (n,) and (m,) that the live model gives to what it recommends, to people of before and of now."""
    told = f"mean {_mean(before):.4f} → {_mean(now):.4f}"
    return Moved("scores", stability_index(*_binned(before, now)), told)


def texts_moved(old: NDArray[np.floating], new: NDArray[np.floating]) -> Moved:
    """Distances of items from the nearest old item in text: of the old ones, (n,), and of those that came, (m,)."""
    if len(new) == 0:
        return Moved("texts", 0.0, "no new items")
    told = (
        f"{len(new):,} new items, {_mean(new):.2f} from the nearest old one; old ones among themselves {_mean(old):.2f}"
    )
    return Moved("texts", stability_index(*_binned(old, new)), told)


def _binned(before: NDArray[np.floating], now: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts of values in the deciles of those before."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1])) if len(before) else np.empty(0)
    return (
        np.bincount(np.searchsorted(edges, before), minlength=len(edges) + 1).astype(np.float64),
        np.bincount(np.searchsorted(edges, now), minlength=len(edges) + 1).astype(np.float64),
    )


def _mean(values: NDArray[np.floating]) -> float:
    return float(values.mean()) if len(values) else float("nan")
