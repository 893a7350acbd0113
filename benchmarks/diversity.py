"""The dial from "more of the same" to "discover": what it costs in NDCG@10 and what it gives.

Trained on what lies before the last tenth of the log (Complete Journey, and amazon18_office_industrial_timed; or
``--set FOLDER``, with times). NDCG@10 of all that users did then; category entropy, intra-list distance of the texts,
novelty, coverage and the share of items met before, of the lists alone. Beside the dial, caps and floors.
"""

from collections.abc import Mapping

import numpy as np

from benchmarks.harness import Figure, parse_arguments, print_table, write_result
from benchmarks.live_shop import LiveShop, live_shop, shops_of
from kuapin.evaluation.bootstrap import difference_interval, interval
from kuapin.evaluation.metrics.registry import PerUser
from kuapin.pipeline.report_trade import DIALS, lists_at
from kuapin.ranking.diversity import DiversityConfig

SETTINGS: Mapping[str, DiversityConfig] = {
    **{f"dial.{dial:g}": DiversityConfig(discovery=dial) for dial in DIALS},
    "per_category.3": DiversityConfig(per_category=3),
    "per_brand.2": DiversityConfig(per_brand=2),
    "per_leaf.1": DiversityConfig(per_leaf=1),
    "categories.4": DiversityConfig(categories=4),
}
BASE = "dial.0"


def measure(shop: LiveShop) -> dict[str, PerUser]:
    """The lists of those asked under every setting."""
    test = shop.split.test
    return {
        name: lists_at(
            shop.recommender, shop.catalogue, test.queries, test.answers, shop.facts, shop.vectors, diversity
        )
        for name, diversity in SETTINGS.items()
    }


def figures_of(name: str, measured: Mapping[str, PerUser]) -> dict[str, Figure]:
    """Means with intervals over users; ``cost`` is the change of NDCG@10 from the ranker's own order, paired."""
    figures, base = {}, measured[BASE].users["ndcg@10"]
    for setting, outcome in measured.items():
        for metric, values in outcome.users.items():
            found = interval(values)
            figures[f"{name}.{setting}.{metric.partition('@')[0]}"] = Figure(found.value, found.low, found.high)
        figures[f"{name}.{setting}.coverage"] = Figure(outcome.whole["coverage@10"])
        cost = difference_interval(outcome.users["ndcg@10"], base)
        figures[f"{name}.{setting}.cost"] = Figure(cost.value, cost.low, cost.high)
    return figures


def show(name: str, measured: Mapping[str, PerUser]) -> None:
    """One row a setting."""
    metrics = [*next(iter(measured.values())).users, "coverage@10"]
    rows = [[setting, *(outcome.mean(metric) for metric in metrics)] for setting, outcome in measured.items()]
    print_table(name, ["setting", *metrics], rows)


def main() -> None:
    """Measure, print, write ``results/diversity.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    figures: dict[str, Figure] = {}
    for name, folder in shops_of(arguments).items():
        shop = live_shop(folder, seed=seed, users=500 if arguments.quick else None)
        measured = measure(shop)
        show(name, measured)
        figures |= figures_of(name, measured)
        figures[f"{name}.users"] = Figure(float(len(shop.split.test)), unit="users")
        figures[f"{name}.bits"] = Figure(float(np.log2(len(shop.catalogue.categories))), unit="bits at most")
    write_result("diversity", figures, seeds=[seed], quick=arguments.quick)


if __name__ == "__main__":
    main()
