"""Trends: which items sell more next week than on the mean of the last four weeks.

Thirteen weeks, the last of the log, one after the other: all that is learnt is learnt before the week. Of the items
with five sales or more in the four weeks before, the 100 that are surest to grow are named; precision is the share of
them that does. Rivals: last week's growth (ratio, and difference), popularity, and momentum (a fast mean over a slow).
`rising` is the surface's own list: of those above expectation. Intervals by drawing weeks.

    python -m benchmarks.trends [--quick] [--set FOLDER]
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, data_set, parse_arguments, write_result
from benchmarks.sets import complete_journey, load_set
from kuapin.data.dataset import Dataset
from kuapin.evaluation.bootstrap import interval
from kuapin.ranking.growth import LEVEL, Counts, Growth, GrowthConfig, enough, estimate, weekly

NAMED = 100
WEEKS, FEW = 13, 4
Vector = NDArray[np.float64]


def main() -> None:
    """Measure both sets and write the result."""
    arguments = parse_arguments(__doc__)
    if arguments.folder is not None:
        sets = {arguments.folder.name: load_set(arguments.folder).dataset}
    else:
        sets = {
            "complete_journey": complete_journey().dataset,
            "online_retail_uk": load_set(data_set("online_retail_uk")).dataset,
        }
    figures: dict[str, Figure] = {}
    for name, data in sets.items():
        figures |= measured(name, data, FEW if arguments.quick else WEEKS)
    write_result("trends", figures, seeds=[0], quick=arguments.quick)


def measured(name: str, data: Dataset, weeks: int) -> dict[str, Figure]:
    """Precision of ours and the rivals, over weeks."""
    counts = weekly(data.histories, int(data.histories.times.max()) + 1)
    parent = data.catalogue.category
    found: dict[str, list[float]] = {}
    for origin in range(counts.shape[1] - weeks, counts.shape[1]):
        past = counts[:, :origin]
        rows = enough(past, GrowthConfig())
        grew = counts[rows, origin] > past[rows, -LEVEL:].mean(axis=1)
        ours = Growth.fit(past, parent).probability(past, parent)[rows]
        above = estimate(past, parent, GrowthConfig()).growth[rows] > 0
        scores = {"precision": ours, "rising.precision": np.where(above, ours, ours - 1), **rivals(past[rows])}
        for method, values in scores.items():
            found.setdefault(method, []).append(float(grew[np.argsort(-values, kind="stable")[:NAMED]].mean()))
        found.setdefault("all_items", []).append(float(grew.mean()))
    best = max(rivals(counts[:1]), key=lambda method: float(np.mean(found[method])))
    figures = {f"{name}.{method}": over_weeks(values) for method, values in found.items()}
    figures[f"{name}.best_baseline"] = over_weeks(found[best], best)
    difference = np.array(found["precision"]) - np.array(found[best])
    return figures | {f"{name}.difference": over_weeks(difference.tolist())}


def rivals(past: Counts) -> dict[str, Vector]:
    """What else could name the items that will grow."""
    last, before = past[:, -1].astype(np.float64), past[:, -2].astype(np.float64)
    twelve = past[:, -12:].astype(np.float64)
    fading = np.exp2(np.arange(twelve.shape[1]) - twelve.shape[1] + 1.0)
    fast, slow = twelve @ fading / fading.sum(), twelve.mean(axis=1)
    return {
        "last_growth": np.log((last + 1) / (before + 1)),
        "last_difference": last - before,
        "popularity": slow,
        "momentum": np.log((fast + 2) / (slow + 2)),
    }


def over_weeks(values: list[float], unit: str = "") -> Figure:
    """The mean over weeks, with its interval."""
    found = interval(np.array(values))
    return Figure(found.value, found.low, found.high, unit)


if __name__ == "__main__":
    main()
