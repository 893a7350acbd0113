"""A log with robots, bulk buyers and fake bursts: what is found, what is taken for them, and what lists are worth.

1 %, 5 % and 10 % of the events are planted into amazon18_arts_office, a third of each kind: robots that meet items at
random, bulk buyers that buy up one shelf, and bursts of users made to meet one item (and one other). Robots and bulk
buyers have 50 to 2,000 events, bursts 5 to 300 users, on a logarithmic scale, so that many lie below what the defence
can tell from people: ``KIND.N.found`` is of those with N events, or users, or more, all three shares pooled. Share of
the planted events that is not learnt from, share of people's events that is not, and NDCG@10 of the last items of 2,000
people, over the whole catalogue: of the clean log, of the dirty one with the defence and without. The log has no times,
so that nobody is given away by his hours. The ranker is the shop's without the user model, whose seven trainings would
take some hours. ``--set FOLDER`` takes another log.

``timed``: into amazon18_office_industrial_timed 5 % are planted, half of them robots with all their events within an
hour, 50 to 2,000, half users who click one item 10 to 100 times on a day; what is found alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, data_set, parse_arguments, print_table, write_result
from benchmarks.live_shop import without_user_model
from benchmarks.sets import load_set
from kuapin.data.dataset import Dataset
from kuapin.data.histories import Histories, from_interactions
from kuapin.data.suspects import SuspectsConfig, find_suspects
from kuapin.evaluation.bootstrap import ratio_interval
from kuapin.evaluation.metrics.registry import evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.evaluation.splits import LeaveOneOut, leave_one_out
from kuapin.ranking.live import LiveConfig, fit_live
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.retrieval.source import Scores, Visible

SET = "amazon18_arts_office"
SHARES = (0.01, 0.05, 0.10)
USERS = 2_000
TIMED, TIMED_SHARE = "amazon18_office_industrial_timed", 0.05
KINDS = ("person", "robot", "bulk", "burst", "clicks")
PERSON, ROBOT, BULK, BURST, CLICKS = range(5)
SIZES = {ROBOT: (50, 2_000), BULK: (50, 2_000), BURST: (5, 300), CLICKS: (10, 100)}
"""Events of one robot, bulk buyer or clicker, and users of one burst: from, to."""
BANDS = {ROBOT: (50, 200, 500), BULK: (50, 200, 500), BURST: (5, 20, 100)}
TIMED_BANDS = {ROBOT: (50, 200, 500), CLICKS: (10,)}
HOUR, DAY = 3_600, 86_400


@dataclass(frozen=True)
class Dirty:
    """A log with what was planted into it.

    Attributes:
        log: planted users come last.
        kind: int64 (n,), of every event: its place in ``KINDS``.
        size: int64 (n,), of the robot, buyer, clicker or burst that it belongs to; 0 for people.
    """

    log: Histories
    kind: NDArray[np.int64]
    size: NDArray[np.int64]


def planted(clean: Histories, dataset: Dataset, share: float, kinds: Sequence[int], seed: int) -> Dirty:
    """A log with so many planted events beside its own, in equal parts by kind."""
    rng = np.random.default_rng([seed, round(1000 * share)])
    wanted = share / (1 - share) * len(clean.items) / len(kinds)
    rows: list[tuple[NDArray[np.int64], int, int]] = []  # items of one user, kind, size
    for kind in kinds:
        events = 0
        while events < wanted:
            size = round(float(np.exp(rng.uniform(*np.log(SIZES[kind])))))
            fresh = [(items, kind, size) for items in _items_of(kind, size, clean.n_items, dataset, rng)]
            rows += fresh
            events += sum(len(items) for items, _, _ in fresh)
    sizes = [len(items) for items, _, _ in rows]
    users = np.repeat(np.arange(len(clean), len(clean) + len(rows)), sizes)
    times = np.arange(len(clean.users) + len(users))
    if clean.timed:
        days = rng.choice(clean.times, len(rows))
        within = [HOUR if kind == ROBOT else DAY for _, kind, _ in rows]
        times = np.concatenate([clean.times, np.repeat(days, sizes) + rng.integers(0, np.repeat(within, sizes))])
    people = np.zeros(len(clean.users), np.int64)
    who, items, kind_, size_ = (
        np.concatenate(part)
        for part in (
            (clean.users, users),
            (clean.items, *(items for items, _, _ in rows)),
            (people, np.repeat([kind for _, kind, _ in rows], sizes)),
            (people, np.repeat([size for _, _, size in rows], sizes)),
        )
    )
    order = np.lexsort((times, who))
    log = from_interactions(
        who[order], items[order], times[order], np.zeros(len(who), np.uint8),
        n_users=len(clean) + len(rows), n_items=clean.n_items, timed=clean.timed,
    )  # fmt: skip
    return Dirty(log, kind_[order], size_[order])


def _items_of(kind: int, size: int, n: int, dataset: Dataset, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """What every user of one robot, bulk buyer, clicker (one user each) or burst meets."""
    if kind == BURST:
        target = rng.integers(n)
        return [np.array([target, rng.integers(n)]) for _ in range(size)]
    if kind == CLICKS:
        return [np.full(size, rng.integers(n))]
    shelf = dataset.catalogue.leaf
    of = np.arange(n) if kind == ROBOT else np.flatnonzero(shelf == shelf[rng.integers(n)])
    return [rng.choice(of, size)]


def found_of(dirty: Sequence[Dirty], bands: Mapping[int, Sequence[int]]) -> dict[str, Figure]:
    """Figures ``KIND.FROM.found``: share of the planted events that is left out, by kind and size, logs pooled."""
    kept = np.concatenate([find_suspects(one.log, SuspectsConfig()).kept for one in dirty])
    kind, size = (np.concatenate([getattr(one, name) for one in dirty]) for name in ("kind", "size"))
    figures = {}
    for of, edges in bands.items():
        for low, high in zip(edges, (*edges[1:], np.inf), strict=True):
            inside = (kind == of) & (size >= low) & (size < high)
            if inside.any():
                figures[f"{KINDS[of]}.{low}.found"] = Figure(float((~kept[inside]).mean()))
    return figures


def in_a_log_with_times(seed: int) -> dict[str, Figure]:
    """Figures ``timed.…``: robots by their hours, and repeated clicks."""
    dataset = load_set(data_set(TIMED)).dataset
    dirty = planted(dataset.histories, dataset, TIMED_SHARE, (ROBOT, CLICKS), seed)
    kept = find_suspects(dirty.log, SuspectsConfig()).kept
    figures = {f"timed.{name}": one for name, one in found_of([dirty], TIMED_BANDS).items()}
    return figures | {"timed.false_alarms": Figure(float((~kept[dirty.kind == PERSON]).mean()))}


def quality(
    log: Histories, dataset: Dataset, vectors: Scores, split: LeaveOneOut, users: NDArray[np.int64], *, look: bool
) -> NDArray[np.float64]:
    """NDCG@10 of some test users by the ranker trained on a log."""
    visible = Visible(dataset.catalogue, log, vectors, 0)
    live = LiveConfig(suspects=SuspectsConfig(look=look))
    fitted = fit_live(
        visible, signals=SignalsConfig(), ranking=RankingConfig(), live=live, sources=without_user_model()
    )
    test = split.test
    found = fitted.recommender.rank(test.queries.select(users), 60)
    met, lists = test.queries.select(users).matrix(), np.full((len(users), 10), -1, np.int32)
    for user in range(len(users)):
        own = found.items[found.indptr[user] : found.indptr[user + 1]]
        own = own[~np.isin(own, met.indices[met.indptr[user] : met.indptr[user + 1]])][:10]
        lists[user, : len(own)] = own
    facts = ItemFacts.from_visible(split.visible, dataset.catalogue.category, split.items)
    answers = Answers.from_histories(test.answers.select(users))
    return evaluate(Ranked(lists), answers, facts, ("ndcg@10",)).users["ndcg@10"]


def row_of(share: float, figures: Mapping[str, Figure]) -> list[str]:
    """One line of the table."""
    name = f"planted{round(100 * share)}"
    values = (figures[f"{name}.{one}"].value for one in ("found", "false_alarms", "kept", "kept.undefended"))
    return [f"{share:.0%}", *(f"{value:.1%}" for value in values)]


def main() -> None:
    """Measure, print, write ``results/dirty_logs.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    data = load_set(arguments.folder or data_set(SET))
    dataset, vectors = data.dataset, data.vectors()
    split = leave_one_out(dataset)
    n = 500 if arguments.quick else USERS
    users = np.sort(np.random.default_rng(seed).permutation(len(split.test.users))[:n])
    clean = replace(split.visible, timed=False)
    on_clean = quality(clean, dataset, vectors, split, users, look=True)
    figures = {
        "clean.ndcg": Figure(float(on_clean.mean())),
        "clean.false_alarms": Figure(float((~find_suspects(clean, SuspectsConfig()).kept).mean())),
    }
    dirty = {
        share: planted(clean, dataset, share, (ROBOT, BULK, BURST), seed)
        for share in (SHARES[-1:] if arguments.quick else SHARES)
    }
    for share, one in dirty.items():
        log, fake = one.log, one.kind != PERSON
        kept, name = find_suspects(log, SuspectsConfig()).kept, f"planted{round(100 * share)}"
        figures[f"{name}.found"] = Figure(float((~kept[fake]).mean()))
        figures[f"{name}.false_alarms"] = Figure(float((~kept[~fake]).mean()))
        for end, look in (("kept", True), ("kept.undefended", False)):
            ratio = ratio_interval(quality(log, dataset, vectors, split, users, look=look), on_clean)
            figures[f"{name}.{end}"] = Figure(ratio.value, ratio.low, ratio.high)
    heads = ["planted", "found", "false alarms", "NDCG@10 kept", "without the defence"]
    print_table("Dirty logs", heads, [row_of(share, figures) for share in dirty])
    by_size = found_of(list(dirty.values()), BANDS) | ({} if arguments.folder else in_a_log_with_times(seed))
    print_table("By kind and size", ["figure", "share"], [[name, f"{one.value:.1%}"] for name, one in by_size.items()])
    figures |= by_size
    write_result("dirty_logs", figures, seeds=[seed], quick=arguments.quick, extra={"set": data.name, "users": n})


if __name__ == "__main__":
    main()
