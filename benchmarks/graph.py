"""What the knowledge graph adds as a source of the ranker: personalised PageRank over brands, shelves and attributes.

The live shop at a cut of its log (Complete Journey and office_industrial_timed; or ``--set FOLDER``, with times),
trained with the sources that it has by default and with the graph beside them. NDCG@10 of all that users did next and
of what was new to them, of the graph alone too. Neither set has relations between items, so that this measures what
follows from the items themselves.
"""

import numpy as np

from benchmarks.harness import Figure, parse_arguments, write_result
from benchmarks.live_shop import shops_of
from benchmarks.ranking_of import Vector, figure, ndcg_of
from benchmarks.sets import DataSet, complete_journey, load_set
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import ratio_interval
from kuapin.evaluation.splits import Temporal, temporal
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.selection import without_met
from kuapin.retrieval.source import Candidates, Visible
from kuapin.retrieval.sources.graph import Graph

LONG = 50


def fresh(answers: Histories, queries: Histories) -> Histories:
    """Answers that their user had not met before."""
    met = queries.matrix()
    had = np.asarray(met[answers.users, answers.items]).ravel() > 0
    return answers.keep(~had)


def judged(found: Candidates, split: Temporal) -> tuple[Vector, Vector]:
    """NDCG@10 of all answers, and of those new to their user with known items left out; NaN where there are none."""
    queries, answers = split.test.queries, split.test.answers
    new = fresh(answers, queries)
    values = ndcg_of(without_met(found, queries, 10), new)
    return ndcg_of(found, answers), np.where(new.lengths > 0, values, np.nan)


def of_shop(name: str, data: DataSet, seed: int, users: int) -> dict[str, Figure]:
    """Train twice, compare."""
    split = temporal(data.dataset, share=0.1, max_test_users=users, seed=seed)
    visible = Visible(data.dataset.catalogue, split.visible, data.vectors(), split.cut, data.texts())
    queries = split.test.queries
    depth = LONG + int(queries.matrix().getnnz(axis=1).max(initial=0))
    usual = fit_live(
        visible, signals=SignalsConfig(), ranking=RankingConfig(seed=seed), live=LiveConfig(seed=seed, pruned=False)
    ).recommender
    wider = SignalsConfig(sources=(*usual.signals.signals, Graph.name))
    more = fit_live(
        visible, signals=wider, ranking=RankingConfig(seed=seed), live=LiveConfig(seed=seed, pruned=False)
    ).recommender
    lists = {
        "usual": usual.rank(queries, depth),
        "with_graph": more.rank(queries, depth),
        "graph_alone": Graph().fit(visible).top(queries, depth),
    }
    scores = {method: judged(found, split) for method, found in lists.items()}
    figures = {}
    for place, what in enumerate(("all", "new")):
        kept = ~np.isnan(scores["usual"][place])
        figures |= {f"{name}.{what}.{method}": figure(one[place][kept]) for method, one in scores.items()}
        ratio = ratio_interval(scores["with_graph"][place][kept], scores["usual"][place][kept])
        figures[f"{name}.{what}.ratio"] = Figure(ratio.value, ratio.low, ratio.high, "× usual")
    return figures


def main() -> None:
    """Measure, print, write ``results/graph.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    figures = {}
    for name, folder in shops_of(arguments).items():
        data = complete_journey() if folder is None else load_set(folder)
        figures |= of_shop(name, data, seed, 300 if arguments.quick else 1500)
    write_result("graph", figures, seeds=[seed], quick=arguments.quick)


if __name__ == "__main__":
    main()
