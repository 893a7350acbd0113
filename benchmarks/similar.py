"""Similar items: do they share category and brand with the item, and were they met by the same people?

1,000 items that at least five people met (Complete Journey and office_industrial_timed; or ``--set FOLDER``), the ten
that could best stand in for each, as the surface ``similar`` finds them. ``leaf`` and ``brand``: share of the ten in
the item's leaf category and of its brand, beside what chance gives. ``recall``: of the ten items that most people met
together with it (damped cosine), the share that is among its ten, beside the ten most popular items of its leaf
category. The text of an item holds its category and brand, so that the first two say whether they are read, and the
last one whether that helps.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, parse_arguments, write_result
from benchmarks.live_shop import shops_of
from benchmarks.ranking_of import figure
from benchmarks.sets import DataSet, complete_journey, load_set
from kuapin.ranking.signal_table import possible_signals
from kuapin.ranking.signals import TEXTS
from kuapin.retrieval.source import Visible
from kuapin.retrieval.sources.content import Content
from kuapin.retrieval.sources.item_knn import ItemKnn
from kuapin.retrieval.sources.settings import SourcesConfig
from kuapin.surfaces.similar import SimilarItems

N, ASKED, LEAST = 10, 1000, 5


def of_shop(name: str, data: DataSet, seed: int, asked: int) -> dict[str, Figure]:
    """One shop."""
    catalogue, histories = data.dataset.catalogue, data.dataset.histories
    visible = Visible(catalogue, histories, data.vectors(), int(histories.times.max(initial=0)), data.texts())
    texts = possible_signals(visible, SourcesConfig())[TEXTS].source.fit(visible)
    if not isinstance(texts, Content):
        raise TypeError(f"{TEXTS} reads no texts")
    people = np.asarray(histories.matrix().sum(axis=0)).ravel()
    rng = np.random.default_rng([seed, 61])
    items = np.sort(rng.permutation(np.flatnonzero(people >= LEAST))[:asked])
    surface, everything = SimilarItems(texts, catalogue), np.ones(len(catalogue), np.bool_)
    found = [surface.similar(int(item), N, everything).items for item in items]
    together = ItemKnn().fit(visible).similarity
    popular = np.argsort(-people, kind="stable")
    shelf = {int(leaf): popular[catalogue.leaf[popular] == leaf][: N + 1] for leaf in np.unique(catalogue.leaf[items])}
    rival = [shelf[int(catalogue.leaf[item])] for item in items]
    rival = [rows[rows != item][:N] for item, rows in zip(items, rival, strict=True)]
    figures = {}
    for group, codes in (("leaf", catalogue.leaf), ("brand", catalogue.brand)):
        known = codes[items] >= 0
        same = [float((codes[rows] == codes[item]).mean()) for item, rows in zip(items, found, strict=True)]
        size = np.bincount(codes[codes >= 0], minlength=int(codes.max(initial=0)) + 1)
        chance = (size[np.maximum(codes[items], 0)] - 1) / (len(catalogue) - 1)
        if known.any():
            figures[f"{name}.{group}"] = figure(np.array(same)[known])
            figures[f"{name}.{group}.chance"] = figure(chance[known])
    for method, lists in (("recall", found), ("recall.popular_of_leaf", rival)):
        figures[f"{name}.{method}"] = figure(_recall(together, items, lists))
    return figures


def _recall(together: object, items: NDArray[np.integer], lists: list[NDArray[np.integer]]) -> NDArray[np.float64]:
    shares = []
    for item, rows in zip(items, lists, strict=True):
        own = slice(together.indptr[item], together.indptr[item + 1])  # type: ignore[attr-defined]
        beside, near = together.indices[own], together.data[own]  # type: ignore[attr-defined]
        best = beside[np.argsort(-near, kind="stable")]
        best = best[best != item][:N]
        shares.append(float(np.isin(best, rows).mean()) if len(best) else np.nan)
    return np.array([share for share in shares if not np.isnan(share)])


def main() -> None:
    """Measure, print, write ``results/similar.json``."""
    arguments = parse_arguments(__doc__)
    seed, figures = (arguments.seeds or (0,))[0], {}
    for name, folder in shops_of(arguments).items():
        data = complete_journey() if folder is None else load_set(folder)
        figures |= of_shop(name, data, seed, 200 if arguments.quick else ASKED)
    write_result("similar", figures, seeds=[seed], quick=arguments.quick)


if __name__ == "__main__":
    main()
