"""What grows: counts by week against what was to be expected, and the probability that next week brings more."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit

from kuapin.data.histories import Histories
from kuapin.ranking.forest_files import read_forest, unreadable, write_forest

if TYPE_CHECKING:
    import lightgbm

WEEK = 7 * 86_400
"""Whole weeks, counted back from now: every one has each day of the week once."""
LOOKED_BACK = 12
"""Weeks that the features read."""
LONGEST = 104
"""Weeks that are counted at most: what lies before says nothing of the present, and one odd time would cost memory."""
LEVEL = 4
"""Weeks whose mean is an item's present level: next week is more, or it is not."""
FILES = "growth"
Counts = NDArray[np.float32]


class GrowthConfig(BaseModel):
    """How growth is estimated and foretold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recent: int = Field(2, ge=1, le=8, description="Weeks that count as now.")
    half_life: float = Field(4.0, gt=0, description="Weeks after which an earlier week counts half in the expectation.")
    shrinkage: float = Field(3.0, gt=0, description="Events added to what came and to what was expected.")
    least: float = Field(5.0, gt=0, description="Events in the last four weeks below which nothing is foretold.")
    origins: int = Field(16, ge=1, description="Weeks before the last whose next week is learnt from.")
    rounds: int = Field(100, ge=1, description="Trees.")
    seed: int = Field(0, ge=0, description="Of the trees.")


def weekly(histories: Histories, now: int, group: NDArray[np.integer] | None = None) -> Counts:
    """Events of every item by week, float32 (n, weeks), the newest last; without times: no week. At most ``LONGEST``.

    Args:
        histories: of all users.
        now: unix seconds; the newest week ends here, and later events are not counted.
        group: int (n_items,), what to count instead of items, -1 for nothing; ``None``: items.
    """
    group = np.arange(histories.n_items) if group is None else group
    n = int(group.max(initial=-1)) + 1
    inside = (histories.times < now) & (histories.times >= now - LONGEST * WEEK) & (group[histories.items] >= 0)
    if not histories.timed or not inside.any():
        return np.zeros((n, 0), np.float32)
    ago = (now - 1 - histories.times[inside]) // WEEK
    weeks = int(ago.max()) + 1
    counts = np.zeros((n, weeks), np.float32)
    np.add.at(counts, (group[histories.items[inside]], weeks - 1 - ago), 1)
    return counts


@dataclass(frozen=True)
class Estimate:
    """How much more there is of something than was to be expected; arrays (n,).

    Attributes:
        growth: float64, logarithm of the ratio, shrunk to 0 where numbers are small.
        error: float64, its standard error (both counts taken as Poisson).
        since: int64, weeks ago that the excess began (the last upward change point of a CUSUM); 0: it has none.
    """

    growth: NDArray[np.float64]
    error: NDArray[np.float64]
    since: NDArray[np.int64]

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower end of the 95 % interval."""
        return self.growth - 1.96 * self.error

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper end of the 95 % interval."""
        return self.growth + 1.96 * self.error


def estimate(counts: Counts, parent: NDArray[np.integer], config: GrowthConfig) -> Estimate:
    """Growth of every row against its own past, with the season that its parent shows.

    The expectation is the mean of earlier weeks, fading by the half-life, times what the parent's weeks now are to its
    own expectation, so that what all of a category do at Christmas is no trend of one item.

    Args:
        counts: float32 (n, weeks), newest last.
        parent: int (n,), code of the parent, such as the category; all 0: the whole shop.
        config: how.
    """
    n, weeks = counts.shape
    if weeks <= config.recent:
        return Estimate(np.zeros(n), np.full(n, np.inf), np.zeros(n, np.int64))
    earlier = counts[:, : -config.recent].astype(np.float64)
    weight = np.exp2(-np.arange(earlier.shape[1])[::-1] / config.half_life)
    usual = earlier @ weight / weight.sum()
    came = counts[:, -config.recent :].astype(np.float64).sum(axis=1)
    expected = usual * config.recent
    of_parent, of_past = (np.bincount(parent, weights=values) for values in (came, expected))
    s = config.shrinkage
    season = ((of_parent + 10 * s) / (of_past + 10 * s))[parent]
    expected = expected * season
    growth = np.log((came + s) / (expected + s))
    effective = weight.sum() ** 2 / (weight**2).sum() / config.recent
    error = np.sqrt(1 / (came + s) + 1 / (expected * effective + s))
    return Estimate(growth, error, _since(counts, usual * np.maximum(season, 1.0)))


def _since(counts: Counts, usual: NDArray[np.float64]) -> NDArray[np.int64]:
    """Weeks since the start of the newest stretch whose sum lies most above the expectation (Page 1954)."""
    excess = counts.astype(np.float64) - 1.25 * usual[:, None] - 0.25
    total = np.cumsum(excess[:, ::-1], axis=1)
    best = np.argmax(total, axis=1)
    return np.where(total[np.arange(len(total)), best] > 0, best + 1, 0).astype(np.int64)


def features(counts: Counts, parent: NDArray[np.integer]) -> NDArray[np.float32]:
    """What is read of the past of every row, float32 (n, 15); ``counts`` and ``parent`` as in :func:`estimate`."""
    last = np.zeros((len(counts), LOOKED_BACK), np.float32)
    known = min(LOOKED_BACK, counts.shape[1])
    last[:, :known] = counts[:, ::-1][:, :known]
    fading = np.exp2(-np.arange(LOOKED_BACK, dtype=np.float32))
    fast, slow, level = last @ fading / fading.sum(), last.mean(axis=1), last[:, :LEVEL].mean(axis=1)
    of = np.stack([np.bincount(parent, weights=week) for week in last.T], axis=1)
    lately = np.log((of[:, 0] + 5) / (of[:, :LEVEL].mean(axis=1) + 5))[parent]
    longer = np.log((of[:, :LEVEL].mean(axis=1) + 5) / (of.mean(axis=1) + 5))[parent]
    total = last.sum(axis=0)
    shop = np.full(len(last), np.log((total[0] + 1) / (total[:LEVEL].mean() + 1)))
    columns = [
        np.log1p(last[:, :6]),
        np.log((fast + 1) / (slow + 1)),
        np.log((last[:, 0] + 1) / (level + 1)),
        np.log((level + 1) / (slow + 1)),
        np.log1p(slow),
        lately,
        longer,
        shop,
        last[:, :LEVEL].std(axis=1) / (level + 1),
        (last[:, :LEVEL] > 0).sum(axis=1),
    ]
    return np.column_stack(columns).astype(np.float32)


@dataclass(frozen=True)
class Growth:
    """The probability that next week brings more than the mean of the last four.

    Attributes:
        forest: LightGBM; ``None``: the log is too short, and the estimate speaks.
        config: how.
    """

    forest: "lightgbm.Booster | None"
    config: GrowthConfig

    @classmethod
    def fit(cls, counts: Counts, parent: NDArray[np.integer], config: GrowthConfig | None = None) -> Self:
        """Learn from weeks that have come already: every origin sees what lies before it."""
        config = config or GrowthConfig()
        weeks = counts.shape[1]
        tables, labels = [], []
        for origin in range(max(LOOKED_BACK + 1, weeks - config.origins), weeks):
            past = counts[:, :origin]
            rows = enough(past, config)
            tables.append(features(past, parent)[rows])
            labels.append(counts[rows, origin] > past[rows, -LEVEL:].mean(axis=1))
        known = np.concatenate(labels) if labels else np.empty(0, np.bool_)
        if len(known) < 200 or known.all() or not known.any():
            return cls(None, config)
        return cls(_forest(np.concatenate(tables), known, config), config)

    def probability(self, counts: Counts, parent: NDArray[np.integer]) -> NDArray[np.float64]:
        """Of every row, float64 (n,); NaN where too little came lately."""
        rows, said = enough(counts, self.config), np.full(len(counts), np.nan)
        if self.forest is None:
            found = estimate(counts, parent, self.config)
            said[rows] = expit(found.growth / np.maximum(found.error, 1e-9))[rows]
        elif len(rows):
            said[rows] = self.forest.predict(features(counts, parent)[rows])
        return said

    def save(self, folder: Path) -> None:
        """Write ``growth.json`` and, where there are trees, ``growth.txt``."""
        write_forest(folder, FILES, {"config": self.config.model_dump(mode="json")}, self.forest)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            ModelFolderError: a file is missing or damaged.
        """
        said, forest = read_forest(folder, FILES)
        try:
            return cls(forest, GrowthConfig.model_validate(said["config"]))
        except (ValueError, KeyError) as error:
            raise unreadable(folder, error) from error


def enough(counts: Counts, config: GrowthConfig) -> NDArray[np.intp]:
    """Rows of which enough came in the last four weeks."""
    return np.flatnonzero(counts[:, -LEVEL:].sum(axis=1) >= config.least)


def _forest(table: NDArray[np.float32], labels: NDArray[np.bool_], config: GrowthConfig) -> "lightgbm.Booster":
    import lightgbm

    parameters = {
        "objective": "binary",
        "num_leaves": 15,
        "learning_rate": 0.05,
        "min_data_in_leaf": 100,
        "lambda_l2": 5.0,
        "max_bin": 63,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": config.seed,
        "verbose": -1,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(table, labels.astype(np.int8)), config.rounds)
