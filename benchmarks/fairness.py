"""Who gets the places: the first ten of all who are asked after the cut, by brand size and price level.

Complete Journey (without prices) and amazon18_office_industrial_timed, or ``--set FOLDER``, with times; at the ranker's
order and at discovery .3. ``shown``: share of the places; ``chosen``: share of what the same users chose then;
``items``: share of the catalogue. Large, middle and small brands each hold about a third of what was met before the
cut; price levels are thirds of the priced items.
"""

from benchmarks.harness import Figure, parse_arguments, write_result
from benchmarks.live_shop import live_shop, shops_of
from kuapin.evaluation.ranked import Ranked
from kuapin.pipeline.report_exposure import exposures
from kuapin.ranking.diversity import DiversityConfig
from kuapin.ranking.reranker import Reranker
from kuapin.retrieval.selection import one_after_another

K = 10


def main() -> None:
    """Measure, print, write ``results/fairness.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    figures = {}
    for name, folder in shops_of(arguments).items():
        shop = live_shop(folder, seed=seed)
        test = shop.split.test
        for dial in (0.0, 0.3):
            reranker = Reranker(shop.recommender, shop.catalogue, diversity=DiversityConfig(discovery=dial))
            found = one_after_another([one.found for _, one in reranker.ranked(test.queries, K)])
            lists = Ranked.from_flat(found.indptr, found.items, K)
            for group in exposures(lists, test.answers, shop.catalogue, shop.facts):
                key = f"{name}.dial.{dial:g}.{group.name.replace(' ', '_')}"
                figures[f"{key}.shown"] = Figure(group.shown)
                if dial == 0:
                    figures[f"{key}.chosen"], figures[f"{key}.items"] = Figure(group.chosen), Figure(group.items)
    write_result("fairness", figures, seeds=[seed], quick=arguments.quick)


if __name__ == "__main__":
    main()
