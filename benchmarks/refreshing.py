"""A refresh that goes on from the live release, beside one that trains everything anew: what each costs, and gives.

Complete Journey and office_industrial_timed (or ``--set FOLDER``, with times). A shop is trained on the first 70 % of
its log. After 80 % and after 90 % it is refreshed: ``gone_on`` (ranker and scales stay, sources learn what came, the
user model goes on; the second time from the first), ``anew`` (everything is trained), or not at all (``stale``: sources
and ranker of the beginning, which read today's histories). Then the next tenth of the log is asked for: NDCG@10 of
those who were there before, at most 3,000 a time; ``new``: of answers that they had not met. Ratios are to ``anew``,
paired by user, both times pooled. ``seconds``: of the fit alone, texts read; a refresh fits twice.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, commit, parse_arguments, print_table, write_result
from benchmarks.live_shop import shops_of
from benchmarks.sets import DataSet, complete_journey, load_set
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import interval, ratio_interval
from kuapin.evaluation.metrics.registry import evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.ranking.live import Fitted, LiveConfig, fit_live, go_on_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.source import Visible

BEGINNING, REFRESHES, NEXT = 0.7, (0.8, 0.9), 0.1
STALE, GONE_ON, ANEW = "stale", "gone_on", "anew"
METRIC, USERS, QUICK_USERS = "ndcg@10", 3_000, 300
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Moment:
    """A shop at one time.

    Attributes:
        visible: all that came before.
        queries: histories of who is asked.
        answers: what they did in the next stretch.
        users: int64 (n,), their rows in the log.
    """

    visible: Visible
    queries: Histories
    answers: Histories
    users: NDArray[np.int64]


def moment(data: DataSet, vectors: NDArray[np.float32], share: float, most: int, seed: int) -> Moment:
    """The shop after a share of its log."""
    log, catalogue = data.dataset.histories, data.dataset.catalogue
    now, end = (int(np.quantile(log.times, min(one, 1.0), method="lower")) for one in (share, share + NEXT))
    before = log.keep(log.times < now)
    last = share + NEXT >= 1
    after = log.keep((log.times >= now) & ((log.times < end) | last))
    both = np.flatnonzero((before.lengths > 0) & (after.lengths > 0))
    users = np.sort(np.random.default_rng([seed, round(100 * share)]).permutation(both)[:most])
    visible = Visible(catalogue, before, vectors, now, data.texts())
    return Moment(visible, before.select(users), after.select(users), users)


def asked(recommender: Recommender, at: Moment) -> tuple[Vector, Vector]:
    """NDCG@10 of every user, of all answers and of those alone that are new to him; NaN where he has none."""
    found = recommender.rank(at.queries, 10)
    lists = Ranked.from_flat(found.indptr, found.items, 10)
    facts = ItemFacts.from_visible(at.visible.histories, at.visible.catalogue.category)
    every = evaluate(lists, Answers.from_histories(at.answers), facts, (METRIC,)).users[METRIC]
    met = np.asarray(at.queries.matrix()[at.answers.users, at.answers.items]).ravel() > 0
    unmet = at.answers.keep(~met)
    has = np.flatnonzero(unmet.lengths)
    struck = [np.setdiff1d(row, at.queries.of(user), assume_unique=True) for user, row in enumerate(lists.items)]
    new = np.full(len(every), np.nan)
    rows = np.array([np.append(one, np.full(10 - len(one), -1)) for one in struck], np.int32)[has]
    new[has] = evaluate(Ranked(rows), Answers.from_histories(unmet.select(has)), facts, (METRIC,)).users[METRIC]
    return every, new


def timed(fit: Fitted | None, at: Moment, seed: int) -> tuple[Fitted, float]:
    """Trained anew, or gone on from, and the seconds that it took."""
    started = time.perf_counter()
    live = LiveConfig(seed=seed)
    if fit is None:
        done = fit_live(at.visible, signals=SignalsConfig(), ranking=RankingConfig(seed=seed), live=live)
    else:
        done = go_on_live(at.visible, fit.recommender, fit.metrics, live=live)
    return done, time.perf_counter() - started


def measure(
    data: DataSet, most: int, seed: int
) -> tuple[dict[str, list[tuple[Vector, Vector]]], NDArray[np.int64], dict[str, float]]:
    """Of every way, what was found after each refresh; who was asked, all refreshes together; mean seconds of a fit."""
    vectors = data.vectors()
    stale, first = timed(None, moment(data, vectors, BEGINNING, most, seed), seed)
    print(f"{data.name}: trained on the first {BEGINNING:.0%} in {first:.0f} s", flush=True)
    gone_on = stale
    found: dict[str, list[tuple[Vector, Vector]]] = {STALE: [], GONE_ON: [], ANEW: []}
    seconds: dict[str, list[float]] = {GONE_ON: [], ANEW: []}
    users: list[NDArray[np.int64]] = []
    for share in REFRESHES:
        at = moment(data, vectors, share, most, seed)
        users.append(at.users)
        gone_on, took = timed(gone_on, at, seed)
        seconds[GONE_ON].append(took)
        anew, took = timed(None, at, seed)
        seconds[ANEW].append(took)
        for name, fitted in ((STALE, stale), (GONE_ON, gone_on), (ANEW, anew)):
            found[name].append(asked(fitted.recommender, at))
            told = ", ".join(f"{np.nanmean(values):.4f}" for values in found[name][-1])
            print(f"{data.name} after {share:.0%}, {name}: NDCG@10 and of what is new {told}", flush=True)
        del anew
    return found, np.concatenate(users), {name: float(np.mean(values)) for name, values in seconds.items()}


def figures_of(
    name: str,
    found: Mapping[str, list[tuple[Vector, Vector]]],
    users: NDArray[np.int64],
    seconds: Mapping[str, float],
) -> dict[str, Figure]:
    """Means and ratios of both metrics, and the time; a person who was asked twice is one cluster."""
    figures = {}
    for place, of in ((0, ""), (1, "new.")):
        pooled = {way: np.concatenate([one[place] for one in parts]) for way, parts in found.items()}
        kept = np.isfinite(pooled[ANEW])
        for way, values in pooled.items():
            mean = interval(values[kept], clusters=users[kept])
            figures[f"{name}.{way}.{of}ndcg"] = Figure(mean.value, mean.low, mean.high)
            if way != ANEW:
                ratio = ratio_interval(values[kept], pooled[ANEW][kept], clusters=users[kept])
                figures[f"{name}.{way}.{of}ratio"] = Figure(ratio.value, ratio.low, ratio.high)
    for way, value in seconds.items():
        figures[f"{name}.{way}.seconds"] = Figure(value, unit="s")
    figures[f"{name}.faster"] = Figure(seconds[ANEW] / seconds[GONE_ON], unit="x")
    return figures


def main() -> None:
    """Train, refresh, ask, print, write ``results/refreshing.json``."""
    commit()  # before anything else may move
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    figures: dict[str, Figure] = {}
    rows: list[list[object]] = []
    for name, folder in shops_of(arguments).items():
        data = complete_journey() if folder is None else load_set(folder)
        found, users, seconds = measure(data, QUICK_USERS if arguments.quick else USERS, seed)
        figures |= figures_of(name, found, users, seconds)
        rows += [
            [name, way, *(f"{np.nanmean(one):.4f}" for part in parts for one in part), f"{seconds.get(way, 0):.0f}"]
            for way, parts in found.items()
        ]
    heads = [f"{of} at {share:.0%}" for share in REFRESHES for of in ("all", "new")]
    print_table("Refreshing, NDCG@10", ["shop", "way", *heads, "s"], rows)
    write_result("refreshing", figures, seeds=[seed], quick=arguments.quick)


if __name__ == "__main__":
    main()
