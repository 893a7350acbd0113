"""A log with robots, bulk buyers and fake bursts: what is found, what is taken for them, and what lists are worth.

1 %, 5 % and 10 % of the events are planted into amazon18_arts_office, a third of each kind: robots that meet hundreds
of items at random, bulk buyers that buy up one shelf, and users made to meet one of a few items (and one other). Share
of the planted events that is not learnt from, share of people's events that is not, and NDCG@10 of the last items of
2,000 people, over the whole catalogue: of the clean log, of the dirty one with the defence and without. The log has no
times, so that nobody is given away by his hours. The ranker is the shop's without the user model, whose seven
trainings would take some hours. ``--set FOLDER`` takes another log.
"""

from collections.abc import Mapping
from dataclasses import replace

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
ROBOT, BULK = 700, 600
"""Events of a robot, and of a bulk buyer."""
FAKES = 150
"""Users of one burst."""


def planted(clean: Histories, dataset: Dataset, share: float, seed: int) -> tuple[Histories, NDArray[np.bool_]]:
    """A log with so many planted events beside its own, and which they are, bool (n,); planted users come last."""
    rng = np.random.default_rng([seed, round(1000 * share)])
    wanted = round(share / (1 - share) * len(clean.items) / 3)
    rows: list[tuple[int, NDArray[np.int64]]] = []
    user = len(clean)
    shelf = dataset.catalogue.leaf
    for kind, size in (("robot", ROBOT), ("bulk", BULK)):
        for _ in range(max(1, round(wanted / size))):
            of = np.arange(clean.n_items)
            if kind == "bulk":
                of = np.flatnonzero(shelf == shelf[rng.integers(clean.n_items)])
            rows.append((user, rng.choice(of, size)))
            user += 1
    for _ in range(max(1, round(wanted / (2 * FAKES)))):
        target = rng.integers(clean.n_items)
        for _ in range(FAKES):
            rows.append((user, np.array([target, rng.integers(clean.n_items)])))
            user += 1
    users = np.concatenate([clean.users, *(np.full(len(items), who) for who, items in rows)])
    items = np.concatenate([clean.items, *(items for _, items in rows)])
    log = from_interactions(
        users, items, np.arange(len(users)), np.zeros(len(users), np.uint8),
        n_users=user, n_items=clean.n_items, timed=False,
    )  # fmt: skip
    return log, log.users >= len(clean)


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
    for share in SHARES[-1:] if arguments.quick else SHARES:
        log, fake = planted(clean, dataset, share, seed)
        kept, name = find_suspects(log, SuspectsConfig()).kept, f"planted{round(100 * share)}"
        figures[f"{name}.found"] = Figure(float((~kept[fake]).mean()))
        figures[f"{name}.false_alarms"] = Figure(float((~kept[~fake]).mean()))
        for end, look in (("kept", True), ("kept.undefended", False)):
            ratio = ratio_interval(quality(log, dataset, vectors, split, users, look=look), on_clean)
            figures[f"{name}.{end}"] = Figure(ratio.value, ratio.low, ratio.high)
    heads = ["planted", "found", "false alarms", "NDCG@10 kept", "without the defence"]
    shares = SHARES[-1:] if arguments.quick else SHARES
    print_table("Dirty logs", heads, [row_of(share, figures) for share in shares])
    write_result("dirty_logs", figures, seeds=[seed], quick=arguments.quick, extra={"set": data.name, "users": n})


if __name__ == "__main__":
    main()
