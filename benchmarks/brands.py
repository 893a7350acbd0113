"""Brands: which brand that is new to them people take next, among all brands that they have not met.

Amazon sets: 2,000 users are in no training. Each is asked about in one of the domains that he has been to, drawn
evenly: the last brand that he met there for the first time is hidden, with all that came after it there; his other
domains are known (order between domains is not). Complete Journey:
households at four fifths of the year; the manufacturers that are new to them in the last fifth are the answers.
NDCG@10 against the popularity of brands (users who met it).

    python -m benchmarks.brands [--quick] [--set FOLDER] [--seeds N ...]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, data_set, parse_arguments, write_result
from benchmarks.ranking_of import compared, ndcg_of
from benchmarks.sets import DataSet, complete_journey, load_set
from kuapin.data.brand_level import brand_histories
from kuapin.data.histories import Histories
from kuapin.ranking.live import LiveConfig
from kuapin.retrieval.selection import top_by_number_met, without_met
from kuapin.retrieval.source import Candidates, Source, Visible
from kuapin.surfaces.brands import Brands

SETS = ("amazon18_arts_office", "amazon18_office_industrial_timed")
USERS, FEW = 2000, 500
SHARE = 0.8
SHORT = {"amazon18_arts_office": "arts_office", "amazon18_office_industrial_timed": "office_industrial_timed"}


@dataclass(frozen=True)
class Asked:
    """What may be learnt from, in items; and who is asked, in brands.

    Attributes:
        visible: without the users who are asked, or without what came after the cut.
        known: of those asked.
        answers: brands that were hidden.
        whose: int64 (n,), number of the person.
    """

    visible: Visible
    known: Histories
    answers: Histories
    whose: NDArray[np.int64]


def main() -> None:
    """Measure every set and write the result."""
    arguments = parse_arguments(__doc__)
    seeds = arguments.seeds or ((0,) if arguments.quick else (0, 1))
    users = FEW if arguments.quick else USERS
    live = LiveConfig(users=FEW) if arguments.quick else LiveConfig()
    figures: dict[str, Figure] = {}
    if arguments.folder is not None:
        figures |= measured(
            arguments.folder.name, [next_new(load_set(arguments.folder), s, users) for s in seeds], live
        )
    else:
        for name in SETS[1:] if arguments.quick else SETS:
            data = load_set(data_set(name))
            figures |= measured(SHORT[name], [next_new(data, seed, users) for seed in seeds], live)
        if not arguments.quick:
            figures |= measured("complete_journey", [after_cut(complete_journey())], live)
    write_result("brands", figures, seeds=seeds, quick=arguments.quick)


def next_new(data: DataSet, seed: int, users: int) -> Asked:
    """Users who are in no training, each without the last brand that was new to him in one of his domains."""
    rng = np.random.default_rng(seed)
    catalogue, log = data.dataset.catalogue, data.dataset.histories
    out = np.zeros(len(log), np.bool_)
    out[rng.permutation(len(log))[:users]] = True
    test = np.flatnonzero(out)
    histories = log.select(test)
    known, answer = np.ones(len(histories.items), np.bool_), np.zeros(len(histories.items), np.bool_)
    for user in range(len(test)):
        own = np.arange(histories.indptr[user], histories.indptr[user + 1])
        split = last_new(catalogue.brand[histories.items[own]], catalogue.category[histories.items[own]], rng)
        if split is None:
            known[own] = False
        else:
            known[own[split.hidden]] = False
            answer[own[split.place]] = True
    asked = np.unique(histories.users[answer])
    n_brands = len(catalogue.brands)
    visible = Visible(catalogue, log.keep(~out[log.users]), data.vectors(), int(log.times.max()), data.texts())
    return Asked(
        visible,
        brand_histories(histories.keep(known), catalogue.brand, n_brands).select(asked),
        brand_histories(histories.keep(answer), catalogue.brand, n_brands).select(asked),
        test[asked].astype(np.int64),
    )


@dataclass(frozen=True)
class Split:
    """Places in a history: of the answer, and of all that is hidden with it."""

    place: int
    hidden: NDArray[np.intp]


def last_new(brand: NDArray[np.int32], domain: NDArray[np.int32], rng: np.random.Generator) -> Split | None:
    """Where a history, oldest first within a domain, is cut; ``None``: it has no brand that is new to the rest."""
    here = np.flatnonzero(domain == rng.permutation(np.unique(domain))[0])
    seen = set(brand[domain != domain[here[0]]].tolist()) | {-1}
    new = []
    for place in here:
        if brand[place] not in seen:
            new.append(int(place))
        seen.add(int(brand[place]))
    if not new or (len(here) == len(brand) and new[-1] == here[0]):
        return None
    return Split(new[-1], here[here >= new[-1]])


def after_cut(data: DataSet) -> Asked:
    """Households at one time, and the manufacturers that were new to them afterwards."""
    catalogue, log = data.dataset.catalogue, data.dataset.histories
    cut = int(np.quantile(log.times, SHARE))
    n_brands = len(catalogue.brands)
    before = log.keep(log.times < cut)
    known = brand_histories(before, catalogue.brand, n_brands)
    after = brand_histories(log.keep(log.times >= cut), catalogue.brand, n_brands)
    met = known.matrix()
    fresh = np.asarray(met[after.users, after.items]).ravel() == 0
    answers = after.keep(fresh)
    asked = np.flatnonzero((answers.lengths > 0) & (known.lengths > 0))
    visible = Visible(catalogue, before, data.vectors(), cut, data.texts())
    return Asked(visible, known.select(asked), answers.select(asked), asked.astype(np.int64))


def measured(name: str, draws: Sequence[Asked], live: LiveConfig) -> dict[str, Figure]:
    """Ours and the single sources, pooled over draws."""
    ours, rivals, whose = [], [], []
    for asked in draws:
        surface = Brands.fit(asked.visible, live=live)
        ours.append(ndcg_of(surface.new(asked.known, 10), asked.answers))
        signals = surface.recommender.signals.signals
        found = {"popularity": alone(signals["popularity"].source, asked.known)}
        rivals.append({one: ndcg_of(lists, asked.answers) for one, lists in found.items()})
        whose.append(asked.whose)
    pooled = {one: np.concatenate([draw[one] for draw in rivals]) for one in rivals[0]}
    return compared(f"{name}.new_brand", np.concatenate(ours), pooled, np.concatenate(whose))


def alone(source: Source, known: Histories) -> Candidates:
    """The best new brands by one source."""
    return top_by_number_met(lambda some, longer: without_met(source.top(some, longer), some, 10), known, 10, None)


if __name__ == "__main__":
    main()
