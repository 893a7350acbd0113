"""Who gets the places, and whom the lists serve: the first ten of all who are asked after the cut.

Complete Journey (without prices), amazon18_office_industrial_timed and online_retail_uk (without brands), or ``--set
FOLDER``, with times. By brand size and price level, at the ranker's order and at discovery .3: ``shown``, share of the
places; ``chosen``, share of what the same users chose then; ``items``, share of the catalogue. Large, middle and small
brands each hold about a third of what was met before the cut; price levels are thirds of the priced items. By group of
users, where the users table has columns of few values (Complete Journey): ``GROUP.ndcg`` of all next choices, with its
interval, and ``.others``, that of all of whom the column says something else. Groups with fewer than 30 users asked are
left out and named.
"""

import numpy as np
import polars as pl

from benchmarks.harness import Figure, data_folder, parse_arguments, write_result
from benchmarks.live_shop import LiveShop, live_shop, shops_of
from benchmarks.ranking_of import figure
from kuapin import columns as c
from kuapin.data.importers import complete_journey
from kuapin.data.user_groups import groups_by_row
from kuapin.evaluation.metrics.registry import evaluate
from kuapin.evaluation.ranked import Answers, Ranked
from kuapin.evaluation.slices import slices
from kuapin.pipeline.report_exposure import exposures
from kuapin.pipeline.report_questions import LEAST_USERS
from kuapin.ranking.diversity import DiversityConfig
from kuapin.ranking.reranker import Reranker
from kuapin.retrieval.selection import one_after_another

K = 10
PRICED = "online_retail_uk"


def main() -> None:
    """Measure, print, write ``results/fairness.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    figures: dict[str, Figure] = {}
    left_out: dict[str, int] = {}
    shops = shops_of(arguments)
    if arguments.folder is None and not arguments.quick:
        shops[PRICED] = data_folder() / PRICED
    for name, folder in shops.items():
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
            if dial == 0 and folder is None:
                people = groups_by_row(complete_journey.read({}).tables[c.USERS], shop.data.dataset.users)
                of_groups, left_out = by_group(shop, lists, people)
                figures |= {f"{name}.{key}": one for key, one in of_groups.items()}
    write_result("fairness", figures, seeds=[seed], quick=arguments.quick, extra={"left_out": left_out})


def by_group(shop: LiveShop, lists: Ranked, people: pl.DataFrame) -> tuple[dict[str, Figure], dict[str, int]]:
    """NDCG@10 of every group of users; and the groups that are too small, with how many were asked.

    Args:
        shop: whose test users were asked.
        lists: theirs.
        people: what groups all users of the shop, a row each.
    """
    test = shop.split.test
    answers, groups = Answers.from_histories(test.answers), people[test.users]
    ndcg = evaluate(lists, answers, shop.facts, ["ndcg@10"]).users["ndcg@10"]
    figures, small = {}, {}
    for column in groups.columns:
        known = groups[column].is_not_null().to_numpy()
        for part in slices(answers, shop.facts, (), test.queries.lengths, groups.select(column)):
            if part.kind != "people":
                continue
            if len(part.users) < LEAST_USERS:
                small[part.name] = len(part.users)
                continue
            inside = np.isin(np.arange(len(ndcg)), part.users)
            figures[f"{part.name}.ndcg"] = figure(ndcg[inside])
            figures[f"{part.name}.others"] = figure(ndcg[known & ~inside])
            figures[f"{part.name}.users"] = Figure(float(len(part.users)), unit="users")
    return figures, small


if __name__ == "__main__":
    main()
