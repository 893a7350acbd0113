"""How sure a figure is: the paired bootstrap (Efron and Tibshirani 1993; for ranking, Sakai 2006).

All methods of a comparison are measured on the same users, so one resample of users gives one value of each: what
makes users easy or hard for both cancels out. Intervals are percentiles of the resampled statistic. The same seed gives
the same interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kuapin.errors import InputError

Vector = NDArray[np.float64]
RESAMPLES = 2000
LEVEL = 0.95
_CELLS_AT_ONCE = 4_000_000  # counts held in memory at a time: 32 MB


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval; NaN where there is nothing to tell them from."""

    value: float
    low: float
    high: float


def interval(
    values: Vector,
    *,
    clusters: NDArray[np.integer] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """The mean of one value a user.

    Args:
        values: float64 (n,); NaN (undefined for that user) is left out.
        clusters: int (n,), rows with the same number are drawn together. Results of several seeds are pooled by putting
            one after the other: with the user's row in the dataset as cluster, a person who is asked under two seeds
            counts as one person. ``None``: each row is drawn for itself, which is user within seed.
        resamples: how many times the users are drawn, ≥ 2,000 for figures that are published.
        level: of the interval, 0.95 means from the 2.5th to the 97.5th percentile.
        seed: of the draws.
    """
    return _statistic([values], lambda means: means[:, 0], clusters, resamples, level, seed)


def intervals(
    values: NDArray[np.float64],
    *,
    clusters: NDArray[np.integer] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Interval]:
    """The means of many values a user, all from the same draws (see :func:`interval`).

    Args:
        values: float64 (n, m); NaN is left out of its own column only.
        clusters: int (n,), rows with the same number are drawn together.
        resamples: how many times the users are drawn.
        level: of the intervals.
        seed: of the draws.

    Returns:
        One interval a column.
    """
    defined = ~np.isnan(values)
    sums = np.hstack([np.where(defined, values, 0.0), defined.astype(np.float64)])  # (n, 2 m)
    if clusters is not None:
        _, cluster = np.unique(clusters, return_inverse=True)
        sums = np.column_stack([np.bincount(cluster, weights=column) for column in sums.T])
    if len(sums) == 0:
        return [Interval(float("nan"), float("nan"), float("nan"))] * values.shape[1]
    # Not by outcome, as below: the draw depends on who is asked alone, so that a further method changes nothing.
    rng, n = np.random.default_rng(seed), len(sums)
    block = max(1, _CELLS_AT_ONCE // n)
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    drawn = np.concatenate([rng.multinomial(n, np.full(n, 1 / n), size=size) @ sums for size in sizes])
    m = values.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        point = sums[:, :m].sum(axis=0) / sums[:, m:].sum(axis=0)
        means = drawn[:, :m] / drawn[:, m:]
    # A draw in which nobody has a value says nothing; where all are such, neither does the column.
    known = [column[~np.isnan(column)] if not np.isnan(column).all() else column for column in means.T]
    return [Interval(float(point[k]), *_percentiles(known[k], level)) for k in range(m)]


def ratio_interval(
    a: Vector,
    b: Vector,
    *,
    clusters: NDArray[np.integer] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """The ratio of the means of ``a`` and ``b``, paired: row ``i`` of both is the same user (see :func:`interval`).

    A ratio of means, not a mean of ratios: most users score 0. It is infinite where only ``b`` is 0, and 1 where both
    are.
    """
    return _statistic([a, b], lambda means: _ratio(means[:, 0], means[:, 1]), clusters, resamples, level, seed)


def difference_interval(
    a: Vector,
    b: Vector,
    *,
    clusters: NDArray[np.integer] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """The difference of the means of ``a`` and ``b``, paired (see :func:`interval`)."""
    return _statistic([a, b], lambda means: means[:, 0] - means[:, 1], clusters, resamples, level, seed)


def change_interval(
    a: NDArray[np.float64] | sparse.csr_array,
    b: NDArray[np.float64] | sparse.csr_array,
    of_means: Callable[[NDArray[np.float64]], Vector],
    *,
    clusters: NDArray[np.integer] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """The difference of a figure that is made of several means, such as F1, paired (see :func:`interval`).

    Args:
        a: float64 (n, m), what is counted of each row; may be sparse, and is then never made dense.
        b: as ``a``, the same rows in the same order.
        of_means: from the means of the columns, float64 (k, m), to the figure, float64 (k,).
        clusters: rows that are drawn together.
        resamples: how many draws.
        level: of the interval.
        seed: of the draws.
    """
    m = a.shape[1]

    def change(means: NDArray[np.float64]) -> Vector:
        return of_means(means[:, :m]) - of_means(means[:, m:])

    if sparse.issparse(a):
        return _sparse_statistic(sparse.hstack([a, b], format="csr"), change, clusters, resamples, level, seed)
    return _statistic([*a.T, *b.T], change, clusters, resamples, level, seed)


def ratio_over_launches(
    a: Sequence[Vector], b: Sequence[Vector], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Interval:
    """The ratio of the means over launches: what to expect of *another* category.

    Each launch has one weight, however many users it has: mean over launches of the mean of ``a``, divided by the same
    of ``b``. A resample draws launches, and for each one drawn, its users; so the interval holds the differences
    between categories, and is wide where the launches are few.

    Args:
        a: one float64 (n_users of the launch,) a launch.
        b: as ``a``, the same users in the same order.
        resamples: how many draws.
        level: of the interval.
        seed: of the draws.
    """
    if len(a) != len(b) or not a:
        raise InputError(f"Two methods are compared over the same launches; {len(a)} and {len(b)} came.")
    inner = np.stack(  # (launches, resamples, 2)
        [
            _resampled_means(_columns([x, y])[0], resamples, seed + launch)
            for launch, (x, y) in enumerate(zip(a, b, strict=True))
        ]
    )
    point = np.stack([_columns([x, y])[0].mean(axis=0) for x, y in zip(a, b, strict=True)]).mean(axis=0)
    rng = np.random.default_rng([seed, len(a)])
    launch = rng.integers(0, len(a), (resamples, len(a)))
    # Which draw of the launch's users: at random, so that a launch drawn twice brings two draws of them.
    draw = rng.integers(0, resamples, (resamples, len(a)))
    means = inner[launch, draw].mean(axis=1)
    low, high = _percentiles(_ratio(means[:, 0], means[:, 1]), level)
    return Interval(float(_ratio(point[:1], point[1:])[0]), low, high)


def _statistic(
    vectors: Sequence[Vector],
    of_means: Callable[[NDArray[np.float64]], Vector],
    clusters: NDArray[np.integer] | None,
    resamples: int,
    level: float,
    seed: int,
) -> Interval:
    columns, kept = _columns(vectors)
    if len(columns) == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    value = float(of_means(columns.mean(axis=0, keepdims=True))[0])
    if clusters is None:
        means = _resampled_means(columns, resamples, seed)
    else:
        means = _resampled_cluster_means(columns, np.asarray(clusters)[kept], resamples, seed)
    return Interval(value, *_percentiles(of_means(means), level))


def _sparse_statistic(
    rows: sparse.csr_array,
    of_means: Callable[[NDArray[np.float64]], Vector],
    clusters: NDArray[np.integer] | None,
    resamples: int,
    level: float,
    seed: int,
) -> Interval:
    """As ``_statistic``, of columns most of whose values are 0, so many that their means are not kept."""
    n = rows.shape[0]
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    _, cluster = np.unique(np.arange(n) if clusters is None else clusters, return_inverse=True)
    drawn_together = sparse.csr_array((np.ones(n), (cluster, np.arange(n))))
    sums, sizes = drawn_together @ rows, np.bincount(cluster)

    def statistic(counts: NDArray[np.integer]) -> Vector:
        return of_means((counts @ sums) / (counts @ sizes)[:, None])

    rng, k = np.random.default_rng(seed), len(sizes)
    block = max(1, _CELLS_AT_ONCE // max(k, rows.shape[1]))
    parts = [min(block, resamples - start) for start in range(0, resamples, block)]
    values = [statistic(rng.multinomial(k, np.full(k, 1 / k), size=size)) for size in parts]
    return Interval(float(statistic(np.ones((1, k), np.int64))[0]), *_percentiles(np.concatenate(values), level))


def _columns(vectors: Sequence[Vector]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The vectors side by side (n, m), without the rows where one is NaN, and which rows were kept."""
    if len({len(vector) for vector in vectors}) > 1:
        raise InputError(
            f"Paired values are of the same users; vectors of {' and '.join(str(len(v)) for v in vectors)} came."
        )
    columns = np.column_stack([np.asarray(vector, np.float64) for vector in vectors])
    kept = np.asarray(~np.isnan(columns).any(axis=1))
    return columns[kept], kept


def _resampled_means(columns: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Means of each resample, float64 (resamples, m)."""
    return _resampled_sums(columns, resamples, seed) / len(columns)


def _resampled_cluster_means(
    columns: NDArray[np.float64], clusters: NDArray[np.integer], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Means of each resample of whole clusters: sum over the rows drawn / how many they are."""
    _, cluster = np.unique(clusters, return_inverse=True)
    weighted = [np.bincount(cluster, weights=column) for column in (*columns.T, np.ones(len(columns)))]
    sums = np.column_stack(weighted).astype(np.float64)
    drawn = _resampled_sums(sums, resamples, seed)
    return np.asarray(drawn[:, :-1] / drawn[:, -1:], np.float64)


def _resampled_sums(rows: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Sums over as many rows as there are, drawn with replacement; float64 (resamples, m).

    How often each row is drawn is multinomial. Equal rows are one outcome with their joint probability, which is the
    same in distribution and much faster, because most users share a few values (0 above all).
    """
    distinct, count = np.unique(rows, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // len(distinct))
    share = count / count.sum()
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    return np.concatenate([rng.multinomial(len(rows), share, size=size) @ distinct for size in sizes])


def _ratio(a: Vector, b: Vector) -> Vector:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((a == 0) & (b == 0), 1.0, a / b)


def _percentiles(values: Vector, level: float) -> tuple[float, float]:
    tail = (1.0 - level) / 2.0
    # Order statistics, not interpolations, so that an infinite ratio stays one.
    low = np.quantile(values, tail, method="lower")
    return float(low), float(np.quantile(values, 1.0 - tail, method="higher"))
