"""Campaigns: who redeems which coupon, of Complete Journey's campaigns that begin in the last third of the year.

Pairs of a household and a coupon, of all households that the campaign was sent to. Redemptions of the hidden campaigns
are seen nowhere; purchases are up to a campaign's first day. Average precision and AUC over all pairs, intervals by
drawing households. Rivals: how often the coupon was redeemed before the cut, how popular its products are, and the
household's purchases in the categories of its products; beside these, and stronger than what was asked for, the
household's purchases of the very products.

Uplift: purchases of a campaign's products while it runs, by households that got it against households that did not,
weighed to look like them by what was known on its first day; overlap and balance are figures too.

    python -m benchmarks.campaigns [--quick]
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import Figure, parse_arguments, write_result
from benchmarks.sets import complete_journey
from kuapin import columns as c
from kuapin.data.dataset import Dataset
from kuapin.data.importers import complete_journey as importer
from kuapin.data.offers import PART_OF, build_offers
from kuapin.evaluation.binary import area_under_roc, average_precision
from kuapin.evaluation.uplift import effect_on_treated, match
from kuapin.ranking.response import DAY, NAMES, Response, Setting, exposed, price_sensitivity, read_redemptions, used
from kuapin.retrieval.members import members

CUT = int(dt.datetime(2017, 9, 1, tzinfo=dt.UTC).timestamp())
FIRST = int(dt.datetime(2017, 4, 1, tzinfo=dt.UTC).timestamp())
"""Campaigns before have too little past to compare households by."""
LAST = int(dt.datetime(2017, 12, 31, tzinfo=dt.UTC).timestamp())
RESAMPLES, FEW = 500, 100
RIVALS = {"coupon_popularity": "offer_redeemed", "product_popularity": "popularity", "product_counts": "bought"}
LEVELS = {"category_counts": 2, "type_counts": 3}
"""Steps of a category path that make a category: the source's product category, and its product type."""
ASKED_FOR = ("coupon_popularity", "product_popularity", *LEVELS)
COVARIATES = (
    "bought",
    "bought_lately",
    "bought_items",
    "share",
    "shelf",
    "brand",
    "purchases",
    "redeemed",
    "sensitivity",
)
Vector = NDArray[np.float64]
Measure = Callable[[NDArray[np.bool_], Vector, Vector | None], float]


def main() -> None:
    """Measure and write the result."""
    arguments = parse_arguments(__doc__)
    data = complete_journey()
    tables, dataset = importer.read({}).tables, data.dataset
    log = tables[c.INTERACTIONS]
    offers = build_offers(tables[c.CAMPAIGNS], tables[c.RELATIONS], dataset.catalogue, dataset.users)
    known = price_sensitivity(log.filter(pl.col(c.TIMESTAMP) < CUT), dataset.users)
    redemptions = read_redemptions(log, offers, dataset.users)
    vectors = None if arguments.quick else data.vectors()
    setting = Setting(dataset.catalogue, dataset.histories, offers, redemptions, known, vectors)
    resamples = FEW if arguments.quick else RESAMPLES
    figures = of_redemptions(setting, resamples) | of_uplift(tables, dataset, known, resamples)
    write_result("campaigns", figures, seeds=[0], quick=arguments.quick)


def of_redemptions(setting: Setting, resamples: int) -> dict[str, Figure]:
    """Average precision and AUC, ours and the rivals'."""
    response = Response.fit(setting, until=CUT)
    offers = setting.offers
    right, whose = [], []
    scores: dict[str, list[Vector]] = {name: [] for name in ("ours", *RIVALS, *LEVELS)}
    for campaign in np.unique(offers.campaign[offers.start >= CUT]):
        rows, users = np.flatnonzero(offers.campaign == campaign), exposed(setting, int(campaign))
        start = int(offers.start[rows[0]])
        features = setting.features(users, rows, start, response.config.lately_days, known=CUT)
        right.append(used(setting.redemptions, users, rows).ravel())
        whose.append(np.repeat(users, len(rows)))
        scores["ours"].append(response.probability(features).ravel())
        for name, feature in RIVALS.items():
            scores[name].append(features[:, :, NAMES.index(feature)].ravel().astype(np.float64))
        for name, level in LEVELS.items():
            scores[name].append(in_categories(setting, users, rows, start, level).ravel())
    pooled = {name: np.concatenate(parts) for name, parts in scores.items()}
    answers, household = np.concatenate(right), np.concatenate(whose)
    figures = {"pairs": Figure(float(len(answers))), "redeemed": Figure(float(answers.sum()))}
    draws = weights(household, resamples)
    for measure, of in (("ap", average_precision), ("auc", area_under_roc)):
        values = {name: drawn(of, answers, one, draws) for name, one in pooled.items()}
        best = max(ASKED_FOR, key=lambda name: values[name][0])
        figures[measure] = summary(values["ours"])
        figures |= {f"{name}.{measure}": summary(values[name]) for name in (*RIVALS, *LEVELS)}
        figures[f"best_baseline.{measure}"] = replace(summary(values[best]), unit=best)
        figures[f"{measure}.ratio"] = replace(summary(values["ours"] / values[best]), unit=f"× {best}")
        own = values["ours"] / values["product_counts"]
        figures[f"{measure}.ratio_to_product_counts"] = summary(own)
    return figures


def in_categories(
    setting: Setting, users: NDArray[np.integer], offers: NDArray[np.integer], start: int, level: int
) -> Vector:
    """How often every household bought in the categories of an offer's products before a time: (users, offers)."""
    catalogue = setting.catalogue
    path = [c.CATEGORY_SEPARATOR.join(name.split(c.CATEGORY_SEPARATOR)[:level]) for name in catalogue.leaves]
    group = np.unique(path, return_inverse=True)[1].astype(np.int32)[catalogue.leaf]
    past = setting.histories.select(users)
    counts = past.keep(past.times < start).matrix(binary=False) @ members(group)
    wanted = setting.offers.targets[offers] @ members(group)
    wanted.data[:] = 1.0
    return np.asarray((counts @ wanted.T).toarray(), np.float64)


def weights(household: NDArray[np.integer], resamples: int) -> list[Vector]:
    """How often every pair counts in each draw of households; the first time once each."""
    _, code = np.unique(household, return_inverse=True)
    n, rng = int(code.max()) + 1, np.random.default_rng(0)
    drawn_often = (rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64) for _ in range(resamples))
    return [np.ones(len(code)), *(often[code] for often in drawn_often)]


def drawn(measure: Measure, right: NDArray[np.bool_], scores: Vector, draws: list[Vector]) -> Vector:
    """A measure as it is and in every draw."""
    return np.array([measure(right, scores, weight) for weight in draws])


def summary(values: Vector) -> Figure:
    """The first value, and the 95 % of the others."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Figure(float(values[0]), float(low), float(high))


def of_uplift(
    tables: dict[str, pl.DataFrame], dataset: Dataset, sensitivity: NDArray[np.float32], resamples: int
) -> dict[str, Figure]:
    """What campaigns changed, pooled over them; every campaign whole, whatever coupons it has."""
    whole = tables[c.RELATIONS].filter(pl.col(c.RELATION) != PART_OF)
    offers = build_offers(tables[c.CAMPAIGNS], whole, dataset.catalogue, dataset.users)
    redemptions = read_redemptions(tables[c.INTERACTIONS], offers, dataset.users)
    setting = Setting(dataset.catalogue, dataset.histories, offers, redemptions, sensitivity, None)
    histories, parts = dataset.histories, []
    columns = [NAMES.index(name) for name in COVARIATES]
    for row in np.flatnonzero((offers.start >= FIRST) & (offers.end <= LAST)):
        start, end = int(offers.start[row]), int(offers.end[row]) + DAY
        lately = histories.keep((histories.times < start) & (histories.times >= start - 90 * DAY))
        users = np.flatnonzero(lately.lengths)
        treated = np.isin(users, exposed(setting, int(offers.campaign[row])))
        covariates = setting.features(users, np.array([row]), start, 90.0)[:, 0, columns]
        during = histories.keep((histories.times >= start) & (histories.times < end)).select(users)
        outcome = np.asarray((during.matrix(binary=False) @ offers.targets[row].T).todense(), np.float64).ravel()
        parts.append((match(treated, covariates), outcome, users))
    before = np.array([np.nanmean(np.abs(matched.before)) for matched, _, _ in parts])
    after = np.array([np.nanmean(np.abs(matched.after)) for matched, _, _ in parts])
    worst = np.array([np.nanmax(np.abs(matched.after)) for matched, _, _ in parts])
    treated = np.array([matched.treated.sum() for matched, _, _ in parts])
    overlap = np.array([matched.overlap for matched, _, _ in parts])
    return {
        "uplift.campaigns": Figure(float(len(parts))),
        "uplift.exposed": Figure(float(treated.sum()), unit="households × campaigns"),
        "uplift.overlap": Figure(float(np.average(overlap, weights=treated)), unit="share of the exposed"),
        "uplift.imbalance_before": Figure(float(before.mean()), unit="mean |SMD|"),
        "uplift.imbalance_after": Figure(float(after.mean()), unit="mean |SMD|"),
        "uplift.imbalance_worst": Figure(float(worst.max()), unit="|SMD|"),
        "uplift.ratio": _uplift(parts, len(dataset.users), resamples),
        "uplift.unadjusted_ratio": _unadjusted(parts),
    }


def _uplift(parts: list[tuple], n_users: int, resamples: int) -> Figure:  # type: ignore[type-arg]
    """Purchases of the exposed over those of comparable others, pooled; households are drawn, propensities stay."""
    rng, ratios = np.random.default_rng(0), []
    for draw in range(resamples + 1):
        often = rng.multinomial(n_users, np.full(n_users, 1 / n_users)) if draw else np.ones(n_users)
        total = np.zeros(2)
        for matched, outcome, users in parts:
            weighed = replace(matched, weight=matched.weight * often[users])
            mass = float(weighed.weight[weighed.treated].sum())
            total += mass * np.array(effect_on_treated(weighed, outcome))
        ratios.append(total[0] / total[1])
    return replace(summary(np.array(ratios)), unit="× comparable")


def _unadjusted(parts: list[tuple]) -> Figure:  # type: ignore[type-arg]
    total = np.zeros(2)
    for matched, outcome, _ in parts:
        mass = matched.treated.sum()
        total += mass * np.array([outcome[matched.treated].mean(), outcome[~matched.treated].mean()])
    return Figure(float(total[0] / total[1]), unit="× all others")


if __name__ == "__main__":
    main()
