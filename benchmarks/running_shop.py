"""The running shop over time: the ranker with and without the user model, and every baseline, on the same users.

Complete Journey and office_industrial_timed: the last tenth of the log is asked for (the temporal protocol). Beauty of
amazon14_beauty_sports: the last item of everybody, without what was met before (leave-one-out). One seed: what differs
between the two rankers is the source ``sequence`` alone. ``--set FOLDER`` takes that folder, with times over time.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.harness import Arguments, Figure, data_set, parse_arguments, print_table, write_result
from benchmarks.leave_one_out import SET, domains
from benchmarks.live_shop import shops_of, without_user_model
from benchmarks.sets import DataSet, complete_journey, load_set
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import interval, ratio_interval
from kuapin.evaluation.metrics.registry import PerUser, evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.evaluation.splits import temporal
from kuapin.pipeline.baselines import Task, baselines, rank_baselines
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.selection import without_met
from kuapin.retrieval.source import Candidates, Visible
from kuapin.retrieval.sources.content import ContentConfig
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.text.template import TextConfig

OURS, WITHOUT = "Kuapin", "Kuapin without the user model"
METRICS = ("ndcg@10", "hit_rate@10")
USERS, QUICK_USERS = 4_000, 500
LONGER = 100
"""Lists are so much longer where what was met is struck out of them."""


@dataclass(frozen=True)
class Asked:
    """A shop before a moment, and what its users did then.

    Attributes:
        name: of the figures.
        visible: all that may be learnt from.
        queries: of the users.
        answers: of the same.
        new: whether what was met before is struck out of the lists.
    """

    name: str
    visible: Visible
    queries: Histories
    answers: Histories
    new: bool


def shops(arguments: Arguments, seed: int) -> Iterator[Asked]:
    """The shops that are asked about."""
    most = QUICK_USERS if arguments.quick else USERS
    for name, folder in shops_of(arguments).items():
        data = complete_journey() if folder is None else load_set(folder)
        split = temporal(data.dataset, max_test_users=most, seed=seed)
        yield Asked(name, visible_of(data, split.visible, split.cut), split.test.queries, split.test.answers, new=False)
    if arguments.folder is None and not arguments.quick:
        domain = domains(data_set(SET))[0]
        some = np.sort(np.random.default_rng(seed).permutation(len(domain.split.test.users))[:most])
        test = domain.split.test
        visible = visible_of(domain.data, domain.split.visible, int(domain.split.visible.times.max()) + 1)
        yield Asked(domain.name, visible, test.queries.select(some), test.answers.select(some), new=True)


def visible_of(data: DataSet, log: Histories, now: int) -> Visible:
    """What may be learnt from, of a set whose items are read."""
    return Visible(data.dataset.catalogue, log, data.vectors(), now, data.texts())


def ranked(asked: Asked, *, user_model: bool, seed: int) -> tuple[Candidates, tuple[str, ...]]:
    """The lists of the running shop's ranker, and the sources that it reads."""
    fitted = fit_live(
        asked.visible,
        signals=SignalsConfig(),
        ranking=RankingConfig(),
        live=LiveConfig(seed=seed),
        sources=SourcesConfig() if user_model else without_user_model(),
    )
    recommender = fitted.recommender
    found = struck(asked, lambda histories, n: recommender.rank(histories, n))
    return found, tuple(recommender.signals.signals)


def struck(asked: Asked, top: Callable[[Histories, int], Candidates]) -> Candidates:
    """Lists of 10."""
    if not asked.new:
        return top(asked.queries, 10)
    return without_met(top(asked.queries, LONGER), asked.queries, 10)


def others(asked: Asked, seed: int) -> dict[str, Candidates]:
    """The lists of every baseline."""
    made = baselines(
        SourcesConfig(content=ContentConfig(max_history=None)),
        timed=asked.visible.histories.timed,
        text=TextConfig(),
        seed=seed,
    )
    items = np.arange(asked.queries.n_items, dtype=np.int32)
    (lists,) = rank_baselines(made, asked.visible, [Task(asked.queries, LONGER if asked.new else 10, items)])
    return {name: without_met(one, asked.queries, 10) if asked.new else one for name, one in lists.items()}


def judged(asked: Asked, lists: Mapping[str, Candidates]) -> dict[str, PerUser]:
    """Every method on every user."""
    items = np.arange(asked.queries.n_items, dtype=np.int32)
    facts = ItemFacts.from_visible(asked.visible.histories, asked.visible.catalogue.category, items)
    answers = Answers.from_histories(asked.answers)
    return {
        name: evaluate(Ranked.from_flat(one.indptr, one.items, 10), answers, facts, METRICS)
        for name, one in lists.items()
    }


def figures_of(name: str, found: Mapping[str, PerUser], *, read: bool) -> dict[str, Figure]:
    """NDCG@10 of both, and the ratios to the best baseline and to the ranker without the user model, paired."""
    values = {method: one.users["ndcg@10"] for method, one in found.items()}
    rivals = [method for method in values if method not in (OURS, WITHOUT)]
    best = max(rivals, key=lambda method: float(values[method].mean()))
    figures = {f"{name}.user_model.read": Figure(float(read))}
    for key, method in (("ndcg", OURS), ("without_user_model.ndcg", WITHOUT), ("best_baseline.ndcg", best)):
        mean = interval(values[method])
        figures[f"{name}.{key}"] = Figure(mean.value, mean.low, mean.high)
    for key, rival in (("ratio", best), ("user_model.ratio", WITHOUT)):
        ratio = ratio_interval(values[OURS], values[rival])
        figures[f"{name}.{key}"] = Figure(ratio.value, ratio.low, ratio.high)
    return figures


def main() -> None:
    """Train, rank, print, write ``results/running_shop.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    figures: dict[str, Figure] = {}
    rows: list[list[object]] = []
    for asked in shops(arguments, seed):
        ours, sources = ranked(asked, user_model=True, seed=seed)
        without, _ = ranked(asked, user_model=False, seed=seed)
        found = judged(asked, {OURS: ours, WITHOUT: without} | others(asked, seed))
        figures |= figures_of(asked.name, found, read="sequence" in sources)
        rows += [[f"{asked.name}: {method}", *(one.mean(m) for m in METRICS)] for method, one in found.items()]
    print_table("The running shop", ["shop: method", *METRICS], rows)
    table = pl.DataFrame(rows, schema=["method", *METRICS], orient="row").to_dicts()
    write_result("running_shop", figures, seeds=[seed], quick=arguments.quick, extra={"shops": table})


if __name__ == "__main__":
    main()
