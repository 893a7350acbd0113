"""One scale for all categories: from the ranker's score to the probability that the user takes the item."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from kuapin.ranking.discoveries import Asked
from kuapin.ranking.lists import Lists

TRUST = 50
"""So many users of a category count as much as the scale of the whole shop."""
SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
"""How much of the offsets may be kept."""
KNOTS, HITS_PER_KNOT = 15, 20
"""Knots of the bend at most, and right candidates for each of them; with fewer than three knots there is none."""
LEAST_RISE = 1e-3
"""Slope of the bend at least: what ranks before stays before."""
BINS = 10
NEWTON_STEPS = 12
LEAST_SLOPE = 1e-3
"""The probability always rises with the score."""


@dataclass(frozen=True)
class Calibration:
    """logit p = bend(slope · score + intercept) + offset of the item's category (Platt 1999, with shrunk offsets).

    p is the probability that the user takes the item within a stretch of time as long as the hidden one that the
    ranker was trained on. Within a category p rises with the score. Between categories the offsets may change the
    order: the greatest share of them is kept that did not lower NDCG@10 on held-out users, of all answers and of
    those new to the user; it may be none, so that ordering by p is not worse than ordering by the score.

    Attributes:
        slope: > 0.
        intercept: of the whole shop.
        offset: float64 (n_categories,).
        bend: float64 (2, k), rising knots: log odds as the line has them and as they are, straight between two knots
            and parallel to the line outside; without knots the line stands.
        top: log odds of the line up to which it was seen; what scores higher comes first and is promised no more.
    """

    slope: float
    intercept: float
    offset: NDArray[np.float64]
    bend: NDArray[np.float64] = field(default_factory=lambda: np.empty((2, 0)))
    top: float = np.inf

    def logit(self, scores: NDArray[np.float64], category: NDArray[np.integer]) -> NDArray[np.float64]:
        """Log odds, float64 (n,), from scores (n,) and top-level category codes (n,)."""
        line = self.slope * scores + self.intercept
        if np.isfinite(self.top):
            line = np.minimum(line, self.top) + LEAST_RISE * np.maximum(line - self.top, 0)
        return np.asarray(_bent(line, self.bend) + self.offset[category], np.float64)

    @staticmethod
    def shown(logit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of log odds, float64 (n,)."""
        return np.asarray(expit(logit), np.float64)

    def with_categories(self, n: int) -> "Calibration":
        """The same scale for more categories; those that are new have no offset."""
        return replace(self, offset=np.append(self.offset, np.zeros(n - len(self.offset))))

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        line = {"slope": self.slope, "intercept": self.intercept, "offset": self.offset.tolist()}
        line |= {"bend": self.bend.tolist()} if self.bend.size else {}
        return line | ({"top": self.top} if np.isfinite(self.top) else {})

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Calibration":
        """Read what ``to_json`` gave."""
        bend = np.array(values.get("bend", [[], []]), np.float64)
        offset, top = np.array(values["offset"], np.float64), float(values.get("top", np.inf))
        return cls(float(values["slope"]), float(values["intercept"]), offset, bend, top)


def no_calibration(n_categories: int) -> Calibration:
    """The scale of a shop without held-out users: the logistic function of the score, which is no probability."""
    return Calibration(1.0, 0.0, np.zeros(n_categories))


def fit_calibration(asked: Asked, scores: NDArray[np.float64], category: NDArray[np.integer], n: int) -> Calibration:
    """Fit the scale on lists that the ranker has not seen.

    It is bent where that lowers the log loss on users that it was not fitted on.

    Args:
        asked: lists of held-out users, with their right candidates.
        scores: float64 (n_candidates,), the ranker's.
        category: (n_candidates,), top-level category codes of the candidates.
        n: how many categories there are.
    """
    lists = asked.lists
    half = lists.users % 2 == 0
    bases, lifts = np.empty((2, len(scores))), np.empty((2, len(scores)))  # of users that it was not fitted on
    for fit, test in ((half, ~half), (~half, half)):
        for bent in (False, True):
            part = _fit(lists, scores, category, n, fit, bent=bent)
            lifts[int(bent), test] = part.offset[category[test]]
            bases[int(bent), test] = part.logit(scores[test], category[test]) - lifts[int(bent), test]
    loss = (np.logaddexp(0, bases) - lists.relevant * bases).sum(axis=1)
    bent = bool(loss[1] < loss[0])
    base, lift = bases[int(bent)], lifts[int(bent)]
    without = np.array(asked.means(base))
    share = next(share for share in SHARES if share == 0 or (asked.means(base + share * lift) >= without).all())
    full = _fit(lists, scores, category, n, np.ones(len(scores), np.bool_), bent=bent)
    return replace(full, offset=full.offset * share)


def cross_fitted(
    asked: Asked, scores: NDArray[np.float64], category: NDArray[np.integer], n: int
) -> NDArray[np.float64]:
    """Log odds of every candidate by a scale fitted on the other half of the users, float64 (n_candidates,).

    What a release says of itself is measured on these: users whom neither the ranker nor their scale has seen.
    Arguments as of :func:`fit_calibration`.
    """
    half = asked.lists.users % 2
    every = np.arange(len(asked.lists))
    logit = np.empty(len(scores))
    for one in (0, 1):
        fit, test = half != one, half == one
        scale = fit_calibration(asked.select(every[every % 2 != one]), scores[fit], category[fit], n)
        logit[test] = scale.logit(scores[test], category[test])
    return logit


def calibration_errors(
    lists: Lists, logit: NDArray[np.float64], category: NDArray[np.integer], categories: tuple[str, ...]
) -> dict[str, float]:
    """Expected calibration errors: ``ece`` over all candidates, ``ece.<category>`` for those of ``TRUST`` users."""
    probability, everything = expit(logit), np.ones(len(logit), np.bool_)
    figures = {"ece": expected_calibration_error(probability, lists.relevant)}
    users = _answering_users(lists, category, everything, len(categories))
    for code in np.flatnonzero(users >= TRUST):
        inside = category == code
        figures[f"ece.{categories[code]}"] = expected_calibration_error(probability[inside], lists.relevant[inside])
    return figures


def expected_calibration_error(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Mean distance between what was promised and what came, over ``BINS`` bins of equal size (Naeini et al. 2015)."""
    if len(probability) == 0:
        return 0.0
    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, BINS)
    return float(
        sum(abs(probability[one].mean() - right[one].mean()) * len(one) for one in bins if len(one)) / len(order)
    )


def _fit(
    lists: Lists,
    scores: NDArray[np.float64],
    category: NDArray[np.integer],
    n_categories: int,
    rows: NDArray[np.bool_],
    *,
    bent: bool,
) -> Calibration:
    slope, intercept = platt(scores[rows], lists.relevant[rows])
    margin = slope * scores[rows] + intercept
    bend = _knots(margin, lists.relevant[rows]) if bent else np.empty((2, 0))
    users = _answering_users(lists, category, rows, n_categories)
    free = _free_offsets(_bent(margin, bend), lists.relevant[rows], category[rows], n_categories)
    return Calibration(slope, intercept, free * users / (users + TRUST), bend)


def _knots(margin: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The bend of the line's log odds (n,): isotonic over bins of equal size, float64 (2, k).

    Every bin is drawn in by two observations that the line promises, so that none is sure.
    """
    from scipy.optimize import isotonic_regression  # at training alone

    count = min(KNOTS, int(right.sum()) // HITS_PER_KNOT)
    if count < 3:
        return np.empty((2, 0))
    bins = np.array_split(np.argsort(margin, kind="stable"), count)
    line = np.array([margin[one].mean() for one in bins])
    size = np.array([len(one) for one in bins], np.float64)
    came = np.array([right[one].sum() for one in bins])
    risen = isotonic_regression(logit((came + 2 * expit(line)) / (size + 2)), weights=size).x
    return np.stack([line, risen + LEAST_RISE * (line - line[0])])


def _bent(line: NDArray[np.float64], bend: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds of the line (n,) as they are."""
    if bend.size == 0:
        return line
    first, last = bend[:, 0], bend[:, -1]
    inside = np.interp(line, *bend)
    outside = np.where(line < first[0], line - first[0], np.where(line > last[0], line - last[0], 0.0))
    return np.asarray(inside + outside, np.float64)


def _free_offsets(
    margin: NDArray[np.float64], right: NDArray[np.bool_], category: NDArray[np.integer], n_categories: int
) -> NDArray[np.float64]:
    """Offsets by which every category is promised what came, float64 (n_categories,): Newton's method on each."""
    came = np.bincount(category, weights=right, minlength=n_categories)
    offset = np.zeros(n_categories)
    for _ in range(NEWTON_STEPS):
        p = expit(margin + offset[category])
        promised = np.bincount(category, weights=p, minlength=n_categories)
        steepness = np.bincount(category, weights=p * (1 - p), minlength=n_categories)
        # up to half an observation of resistance: where nothing, or everything, was taken the offset stays finite
        offset += np.clip((came - promised - 0.5 * np.tanh(offset)) / (steepness + 0.5), -1.0, 1.0)
    return offset


def _answering_users(
    lists: Lists, category: NDArray[np.integer], rows: NDArray[np.bool_], n_categories: int
) -> NDArray[np.int64]:
    """Users with a right candidate in every category, int64 (n_categories,)."""
    right = rows & lists.relevant
    pairs = np.unique(lists.users[right] * n_categories + category[right])
    return np.bincount(pairs % n_categories, minlength=n_categories)


def platt(scores: NDArray[np.float64], right: NDArray[np.bool_], share: float = 1.0) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of ``right`` (n,) on ``scores`` (n,).

    Targets are drawn in by one observation a side, as Platt does, so that separable scores stay finite.

    Args:
        scores: float64 (n,).
        right: bool (n,).
        share: every right one counts as right with this weight and as wrong with the rest: the scale is that of people
            of whom only this share will be asked.
    """
    from scipy.optimize import minimize  # at training alone: a service starts without it

    if len(scores) == 0:
        return 1.0, 0.0
    hits, misses = float(right.sum()), float((~right).sum())
    target = share * np.where(right, (hits + 1) / (hits + 2), 1 / (misses + 2))
    centre, spread = float(scores.mean()), max(float(scores.std()), 1e-9)
    z = (scores - centre) / spread

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = parameters[0] * z + parameters[1]
        gap = (expit(margin) - target) / len(z)
        value = float((np.logaddexp(0, margin) - target * margin).mean())
        return value, np.array([gap @ z, gap.sum()])

    start = np.array([1.0, np.log(share * (hits + 1) / (misses + 1))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(LEAST_SLOPE * spread, None), (None, None)]).x
    slope = float(found[0]) / spread
    return slope, float(found[1]) - slope * centre
