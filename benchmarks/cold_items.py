"""Items that nobody met in training beside those that people did: recall@10 and NDCG@10 over the full catalogue.

Beauty of amazon14_beauty_sports, leave-one-out: a tenth of the items, drawn by the seed, is taken out of all that is
trained on (``--set FOLDER`` takes the first domain of that folder). Those users are asked whose last item is one of
them (``cold``), and as many others (``warm``); histories keep what they hold, items that are cold among it.
``within`` ranks the cold items alone: how well they are told apart once one looks at them.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Figure, data_set, parse_arguments, print_table, write_result
from benchmarks.leave_one_out import SET, USERS_AT_ONCE, VALIDATION_USERS, Domain, domains
from kuapin.data.category_levels import several_categories
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import interval
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.source import Scores, Visible
from kuapin.retrieval.sources.content import Content, ContentConfig
from kuapin.retrieval.sources.popularity import Popularity
from kuapin.sequence.compiled import UserModel
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.training import train
from kuapin.sequence.validation import Validation

SHARE = 0.1
K = 10


def cold_of(n_items: int, seed: int) -> NDArray[np.bool_]:
    """Which items nobody meets in training, bool (n_items,)."""
    return np.random.default_rng([seed, 7]).random(n_items) < SHARE


def user_model(domain: Domain, log: Histories, cold: NDArray[np.bool_], config: SequenceConfig) -> UserModel:
    """Trained on what is left of the log."""
    asked = domain.split.validation
    answers = asked.answers.items[asked.answers.indptr[:-1]]
    warm = np.flatnonzero(~cold[answers])
    some = np.sort(np.random.default_rng(config.seed).permutation(warm)[:VALIDATION_USERS])
    queries = asked.queries.keep(~cold[asked.queries.items])
    validation = Validation(queries.select(some), answers[some])
    catalogue, white = domain.data.dataset.catalogue, domain.white if config.text else None
    category, openings = catalogue.category, several_categories(catalogue)
    done = train(log, white, category, config, validation=validation, openings=openings)
    return UserModel.of(done, white, done.interactions, category)


def places(
    score: Callable[[Histories], Scores], domain: Domain, users: NDArray[np.intp], items: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Place of every user's answer among some items, those met before aside; inf behind the ``K``-th: (n_users,)."""
    test, found = domain.split.test, []
    for block in np.split(users, range(USERS_AT_ONCE, len(users), USERS_AT_ONCE)):
        queries, answers = test.queries.select(block), test.answers.select(block)
        scores = np.where(items, np.array(score(queries)), -np.inf)
        met = queries.matrix()
        scores[np.repeat(np.arange(len(block)), np.diff(met.indptr)), met.indices] = -np.inf
        for row, answer in zip(scores, answers.items[answers.indptr[:-1]], strict=True):
            place = np.flatnonzero(best_columns(row, K) == answer)
            found.append(float(place[0]) if len(place) else np.inf)
    return np.array(found)


def figures_of(methods: Mapping[str, Callable[[Histories], Scores]], domain: Domain, cold: NDArray[np.bool_], most: int
) -> tuple[dict[str, Figure], list[list[object]]]:  # fmt: skip
    """Every method on both kinds of users."""
    answers = domain.split.test.answers
    is_cold = cold[answers.items[answers.indptr[:-1]]]
    rng = np.random.default_rng(0)
    asked = np.flatnonzero(is_cold)[:most]
    beside = np.sort(rng.permutation(np.flatnonzero(~is_cold))[: len(asked)])
    everything = np.ones(len(cold), np.bool_)
    kinds = {"cold": (asked, everything), "warm": (beside, everything), "within": (asked, cold)}
    figures, rows = {}, []
    for method, score in methods.items():
        row: list[object] = [method]
        for kind, (users, items) in kinds.items():
            place = places(score, domain, users, items)
            for name, values in (("recall", place < K), ("ndcg", np.where(place < K, 1 / np.log2(place + 2), 0.0))):
                mean = interval(values.astype(np.float64))
                figures[f"{method}.{kind}.{name}"] = Figure(mean.value, mean.low, mean.high)
                row.append(mean.value)
        rows.append(row)
    return figures | {"users": Figure(float(len(asked)))}, rows


def main() -> None:
    """Train, rank, print, write ``results/cold_items.json``."""
    arguments = parse_arguments(__doc__)
    seed = (arguments.seeds or (0,))[0]
    domain = domains(arguments.folder or data_set(SET))[0]
    cold = cold_of(len(domain.data.dataset.catalogue), seed)
    log = domain.split.visible.keep(~cold[domain.split.visible.items])
    short = {"epochs": 1} if arguments.quick else {}
    visible = Visible(domain.data.dataset.catalogue, log, domain.vectors, 0)
    methods: dict[str, Callable[[Histories], Scores]] = {}
    for name, settings in (("user_model", {}), ("user_model_text_alone", {"ids": False})):
        model = user_model(domain, log, cold, SequenceConfig.model_validate({"seed": seed} | settings | short))
        methods[name] = lambda histories, model=model: model.users(histories) @ model.items.T  # type: ignore[misc]
    methods["frozen_text"] = Content(ContentConfig(max_history=None)).fit(visible).score
    methods["popularity"] = Popularity().fit(visible).score
    figures, rows = figures_of(methods, domain, cold, 500 if arguments.quick else len(cold))
    heads = [f"{kind} {name}@{K}" for kind in ("cold", "warm", "within") for name in ("recall", "NDCG")]
    print_table("Cold items", ["method", *heads], rows)
    write_result("cold_items", figures, seeds=[seed], quick=arguments.quick)


if __name__ == "__main__":
    main()
