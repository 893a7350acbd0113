"""Similar items: do they share category and brand with the item, and were they met by the same people?

1,000 items that at least five people met (Complete Journey and office_industrial_timed; or ``--set FOLDER``), the ten
that could best stand in for each, as the surface ``similar`` finds them. What people met together is read of one half
of the people; those five, and the truth, are of the other half. ``leaf`` and ``brand``: share of the ten in the item's
leaf category and of its brand, beside what chance gives. ``recall``: of the ten items that most people met together
with it (damped cosine), the share that is among its ten. Beside it ``texts`` alone, ``people`` alone, and the ten most
popular items of its leaf category; ``to_texts`` and ``to_best``, to the best of these three, are the differences.
The text of an item holds its category and brand, so that the first two say whether they are read, and the last one
whether that helps.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

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
    rng = np.random.default_rng([seed, 61])
    learnt, judged = np.array_split(rng.permutation(len(histories)), 2)
    now, read = int(histories.times.max(initial=0)), histories.select(np.sort(learnt))
    visible = Visible(catalogue, read, data.vectors(), now, data.texts())
    texts = possible_signals(visible, SourcesConfig())[TEXTS].source.fit(visible)
    if not isinstance(texts, Content):
        raise TypeError(f"{TEXTS} reads no texts")
    other = replace(visible, histories=histories.select(np.sort(judged)))
    met = np.asarray(other.histories.matrix().sum(axis=0)).ravel()
    items = np.sort(rng.permutation(np.flatnonzero(met >= LEAST))[:asked])
    people, everything = ItemKnn().fit(visible), np.ones(len(catalogue), np.bool_)
    surfaces = {"": SimilarItems(texts, catalogue, read), ".texts": SimilarItems(texts, catalogue)}
    found = {
        method: [surface.similar(int(item), N, everything).items for item in items]
        for method, surface in surfaces.items()
    }
    found[".people"] = [_nearest(people.similarity, int(item)) for item in items]
    popular = np.argsort(-np.asarray(read.matrix().sum(axis=0)).ravel(), kind="stable")
    shelf = {int(leaf): popular[catalogue.leaf[popular] == leaf][: N + 1] for leaf in np.unique(catalogue.leaf[items])}
    best_of = [shelf[int(catalogue.leaf[item])] for item in items]
    found[".popular_of_leaf"] = [rows[rows != item][:N] for item, rows in zip(items, best_of, strict=True)]
    figures = {}
    for group, codes in (("leaf", catalogue.leaf), ("brand", catalogue.brand)):
        known = codes[items] >= 0
        size = np.bincount(codes[codes >= 0], minlength=int(codes.max(initial=0)) + 1)
        chance = (size[np.maximum(codes[items], 0)] - 1) / (len(catalogue) - 1)
        if not known.any():
            continue
        for method in surfaces:
            same = [float((codes[rows] == codes[item]).mean()) for item, rows in zip(items, found[method], strict=True)]
            figures[f"{name}.{group}{method}"] = figure(np.array(same)[known])
        figures[f"{name}.{group}.chance"] = figure(chance[known])
    truth = ItemKnn().fit(other).similarity
    recalls = {method: _recall(truth, items, lists) for method, lists in found.items()}
    figures |= {f"{name}.recall{method}": figure(values) for method, values in recalls.items()}
    best = max((method for method in recalls if method), key=lambda method: float(recalls[method].mean()))
    figures[f"{name}.recall.to_texts"] = figure(recalls[""] - recalls[".texts"])
    figures[f"{name}.recall.to_best"] = figure(recalls[""] - recalls[best])
    return figures


def _nearest(together: sparse.csr_matrix, item: int) -> NDArray[np.int32]:
    """The ten items that most people met with one."""
    own = slice(together.indptr[item], together.indptr[item + 1])
    rows: NDArray[np.int32] = together.indices[own][np.argsort(-together.data[own], kind="stable")][:N]
    return rows


def _recall(
    together: sparse.csr_matrix, items: NDArray[np.integer], lists: list[NDArray[np.integer]]
) -> NDArray[np.float64]:
    """Of every item that was met with others the share of these that is in its list."""
    best = [_nearest(together, int(item)) for item in items]
    shares = [float(np.isin(one, rows).mean()) for one, rows in zip(best, lists, strict=True) if len(one)]
    return np.array(shares)


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
