"""Bundles: one item of a basket is hidden and asked for, among all items that are not in the basket.

Complete Journey: what was bought before the last fifth of the year teaches; baskets of the last fifth are asked about,
with the household known (what it bought before the cut) and without. `amazon14_bundles`: the bundles of one domain
teach, those of the other are asked about, whose items nobody has bought: popularity and lift have nothing to count
there, so that the text is the rival. NDCG@10; every rival in its better form: popularity of all time or fading, lift
as shrunk mutual information or as damped cosine, frozen text of three templates, pooled two ways.

``NAME.ours`` is the set that the surface shows, which keeps out what could replace something in the basket: a hidden
item of a kind that is in the basket (``same_kind``: how often) it misses by design. ``NAME.ranking`` is what the set is
taken from, replacements in it; ``NAME.other_kind`` the set where the hidden item is of another kind. ``substitutes@5``:
share of the first five that are of a kind in the basket.

    python -m benchmarks.bundles [--quick] [--seeds N ...]
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.harness import Figure, data_set, parse_arguments, write_result
from benchmarks.ranking_of import Vector, compared, figure, ndcg_of
from benchmarks.sets import DOMAIN, TEMPLATES, DataSet, complete_journey, load_set
from kuapin import columns as c
from kuapin.data.baskets import Baskets, build_baskets
from kuapin.data.dataset import Catalogue
from kuapin.data.histories import Histories, empty_histories
from kuapin.data.importers import complete_journey as importer
from kuapin.data.vocabulary import Vocabulary
from kuapin.ranking.completion import Completion, fit_completion
from kuapin.ranking.live import queries_of
from kuapin.retrieval.selection import without_met
from kuapin.retrieval.source import Candidates, Visible
from kuapin.retrieval.sources.content import Content, ContentConfig
from kuapin.surfaces.bundles import Bundles

QUESTIONS, FEW, K = 2000, 300, 10
SHARE = 0.8
POOLINGS = ("mean", "logsumexp")
DOMAINS = ("electronic", "food")


def main() -> None:
    """Measure both and write the result."""
    arguments = parse_arguments(__doc__)
    seeds = arguments.seeds or ((0,) if arguments.quick else (0, 1, 2))
    questions = FEW if arguments.quick else QUESTIONS
    folder = arguments.folder or data_set("amazon14_bundles")
    data, pairs = load_set(folder), pl.read_parquet(folder / "bundle_item.parquet")
    figures = of_baskets(complete_journey(), seeds, questions)
    for learnt, asked in (DOMAINS, DOMAINS[::-1]):
        figures |= of_bundles(data, pairs, learnt, asked, seeds, questions)
    write_result("bundles", figures, seeds=seeds, quick=arguments.quick)


def of_baskets(data: DataSet, seeds: Sequence[int], questions: int) -> dict[str, Figure]:
    """Complete Journey."""
    catalogue = data.dataset.catalogue
    baskets = build_baskets(importer.read({}).tables[c.INTERACTIONS], catalogue.items, data.dataset.users)
    cut = int(np.quantile(baskets.times, SHARE))
    known = data.dataset.histories.keep(data.dataset.histories.times < cut)
    visible = Visible(catalogue, known, data.vectors(), cut, data.texts())
    completion = fit_completion(visible, baskets.select(np.flatnonzero(baskets.times < cut)))
    asked, rest, answers = drawn(baskets, np.flatnonzero(baskets.times >= cut), seeds, questions)
    household = baskets.owner[asked]
    owners, nobody = queries_of(known, household), empty_histories(len(asked), len(catalogue), timed=True)
    surface = surface_of(completion, catalogue)
    ours, alone = (listed(surface, rest, asker) for asker in (owners, nobody))
    ranking = completion.complete(rest, owners, K).found
    favourites = without_met(completion.own["own"].top(owners, 300), rest, K)
    found = counted(completion, rest)
    found |= {f"frozen text, {way}": text_of(visible, way, rest, None) for way in POOLINGS}
    rivals = {name: ndcg_of(one, answers) for name, one in found.items()}
    own = {"own most bought": ndcg_of(favourites, answers)}
    figures = judged("baskets", ours, ranking, rivals, rest, answers, household, surface.kinds)
    figures |= compared("baskets.household_known", ndcg_of(ours, answers), own, household)
    figures |= compared("baskets.household_unknown", ndcg_of(alone, answers), rivals, household, only_ours=True)
    lists = {"surface": ours, "ranking": ranking, "lift": found["lift"], "frozen text": found["frozen text, mean"]}
    return figures | substituted("baskets", lists, rest, household, surface.kinds)


def of_bundles(
    data: DataSet, pairs: pl.DataFrame, learnt: str, asked_of: str, seeds: Sequence[int], questions: int
) -> dict[str, Figure]:
    """Learn from the bundles of one domain and complete those of another."""
    catalogue, domain = data.dataset.catalogue, data.items[DOMAIN].to_numpy()
    log = pairs.select(pl.col("bundle_id").alias(c.BASKET_ID), pl.col("bundle_id").alias(c.USER_ID), c.ITEM_ID)
    users = Vocabulary(log[c.USER_ID].unique().sort(), "bundle")
    baskets = build_baskets(log, catalogue.items, users)
    of = domain[baskets.histories.items[baskets.histories.indptr[:-1]]]
    nobody = empty_histories(len(users), len(catalogue), timed=False)
    visible = Visible(catalogue, nobody, data.vectors(), 0, data.texts())
    completion = fit_completion(visible, baskets.select(np.flatnonzero(of == learnt)))
    asked, rest, answers = drawn(baskets, np.flatnonzero(of == asked_of), seeds, questions)
    items = np.flatnonzero(domain == asked_of)
    surface, askers = surface_of(completion, catalogue), queries_of(nobody, np.full(len(asked), -1))
    ours, ranking = listed(surface, rest, askers, items), completion.complete(rest, askers, K, items).found
    rivals = counted(completion, rest, items)
    for template in TEMPLATES:
        frozen = replace(visible, vectors=data.vectors(template))
        rivals |= {f"frozen text, {way}, {template}": text_of(frozen, way, rest, items) for way in POOLINGS}
    name = f"{learnt}->{asked_of}"
    scores = {rival: ndcg_of(found, answers) for rival, found in rivals.items()}
    figures = judged(name, ours, ranking, scores, rest, answers, asked, surface.kinds)
    lists = {"surface": ours, "ranking": ranking, "frozen text": rivals[f"frozen text, mean, {TEMPLATES[0]}"]}
    return figures | substituted(name, lists, rest, asked, surface.kinds)


def surface_of(completion: Completion, catalogue: Catalogue) -> Bundles:
    """The surface of a shop without relations."""
    return Bundles(completion, catalogue, *[sparse.csr_matrix((len(catalogue),) * 2, dtype=np.int32)] * 2)


def listed(
    surface: Bundles, rest: Histories, askers: Histories, items: NDArray[np.integer] | None = None
) -> Candidates:
    """What the surface shows."""
    shown = surface.complete(rest, askers, K, items)
    return Candidates(np.searchsorted(shown.asked, np.arange(len(rest) + 1)), shown.items, shown.scores)


def judged(
    name: str,
    ours: Candidates,
    ranking: Candidates,
    rivals: Mapping[str, Vector],
    rest: Histories,
    answers: Histories,
    clusters: NDArray[np.integer],
    kinds: NDArray[np.int64],
) -> dict[str, Figure]:
    """The set that is shown, the ranking behind it, and the set where the hidden item is of another kind."""
    other = np.array([kinds[answers.of(one)[0]] not in kinds[rest.of(one)] for one in range(len(rest))])
    of_other = {rival: values[other] for rival, values in rivals.items()}
    figures = compared(name, ndcg_of(ours, answers), rivals, clusters)
    figures |= compared(f"{name}.ranking", ndcg_of(ranking, answers), rivals, clusters, only_ours=True)
    figures |= compared(f"{name}.other_kind", ndcg_of(ours, answers)[other], of_other, clusters[other])
    return figures | {f"{name}.same_kind": figure(1.0 - other, clusters)}


def substituted(
    name: str,
    lists: Mapping[str, Candidates],
    rest: Histories,
    clusters: NDArray[np.integer],
    kinds: NDArray[np.int64],
) -> dict[str, Figure]:
    """Share of substitutes in every method's first five."""
    shares = {method: substitutes(found, rest, kinds) for method, found in lists.items()}
    return {f"{name}.substitutes@5.{method}": figure(values, clusters) for method, values in shares.items()}


def drawn(
    baskets: Baskets, rows: NDArray[np.intp], seeds: Sequence[int], questions: int
) -> tuple[NDArray[np.intp], Histories, Histories]:
    """Baskets of two items or more, the rest of each, and the item that was hidden; all seeds, one after the other."""
    rows = rows[baskets.histories.lengths[rows] > 1]
    asked, hidden = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        asked.append(np.sort(rng.permutation(rows)[:questions]))
        picked = baskets.histories.select(asked[-1])
        mask = np.zeros(len(picked.items), np.bool_)
        mask[picked.indptr[:-1] + rng.integers(0, picked.lengths)] = True
        hidden.append(mask)
    every = np.concatenate(asked)
    picked, mask = baskets.histories.select(every), np.concatenate(hidden)
    return every, picked.keep(~mask), picked.keep(mask)


def counted(completion: Completion, rest: Histories, items: NDArray[np.integer] | None = None) -> dict[str, Candidates]:
    """What counting alone proposes; it proposes nothing where nothing was counted."""
    names = {"popularity": "popularity", "popularity_decayed": "popularity, fading", "lift": "lift"}
    names["item_knn"] = "lift, as damped cosine"
    sources = completion.signals.signals
    return {
        told: without_met(sources[name].source.top(rest, 300, items), rest, K)
        for name, told in names.items()
        if name in sources
    }


def text_of(visible: Visible, pooling: str, rest: Histories, items: NDArray[np.integer] | None) -> Candidates:
    """Frozen text: what reads like the basket."""
    source = Content(ContentConfig(pooling=pooling, max_history=None)).fit(visible)
    return without_met(source.top(rest, 300, items), rest, K)


def substitutes(found: Candidates, rest: Histories, kinds: NDArray[np.int64]) -> Vector:
    """Share of the first five that are of the kind of an item of the basket; NaN where a list is empty."""
    shares = np.full(len(rest), np.nan)
    for one in range(len(rest)):
        items = found.items[found.indptr[one] : found.indptr[one + 1]][:5]
        if len(items):
            shares[one] = np.isin(kinds[items], kinds[rest.of(one)]).mean()
    return shares


if __name__ == "__main__":
    main()
