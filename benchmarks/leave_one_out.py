"""The tables of the papers: each user's last item, found among all, by the user model and by what it must beat.

Default: Beauty and Sports of amazon14_beauty_sports, five interactions a user and item at least, the last item test,
the one before it validation, the full catalogue ranked without what was met, at most 50 items read. Three seeds of the
user model and of our own SASRec with sampled softmax (ids alone), the models of all seeds with their scores added,
then under the first seed and on the first set what texts, own vectors and replayed openings are worth. ``--set FOLDER``
takes the domains of that folder.

Published: SASRec with sampled softmax, 256 negatives, recall@10 / NDCG@10 .0921 / .0531 on Beauty, .0569 / .0314 on
Sports.
An interrupted run of a clean commit goes on: finished parts lie under ``$KUAPIN_CACHE``.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.cell import Cell
from benchmarks.harness import Figure, data_set, parse_arguments, write_result
from benchmarks.kept_cells import KeptCells
from benchmarks.sets import DOMAIN, DataSet, set_items, set_log
from kuapin import columns as c
from kuapin.data.category_levels import several_categories
from kuapin.data.dataset import build_dataset
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import interval, ratio_interval
from kuapin.evaluation.metrics.registry import PerUser, evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.evaluation.splits import LeaveOneOut, leave_one_out
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.source import Scores, Visible
from kuapin.retrieval.sources.content import Content, ContentConfig
from kuapin.retrieval.sources.ease import Ease, EaseConfig
from kuapin.retrieval.sources.item_knn import ItemKnn
from kuapin.retrieval.sources.popularity import Popularity
from kuapin.retrieval.whitening import whiten
from kuapin.sequence.compiled import UserModel
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.training import train
from kuapin.sequence.validation import Validation

SET = "amazon14_beauty_sports"
SEEDS = (0, 1, 2)
METRICS = ("ndcg@10", "recall@10")
OURS, SASREC, ENSEMBLE = "user model", "SASRec, sampled softmax", "user models of all seeds"
CONFIGS: Mapping[str, dict[str, object]] = {
    OURS: {},
    SASREC: {"text": False, "id_dropout": 0.0, "masked_share": 0.0},
    "user model without texts": {"text": False},
    "user model without own vectors": {"ids": False},
    "user model without replayed openings": {"masked_share": 0.0},
}
VALIDATION_USERS = 4_000
USERS_AT_ONCE = 512
LEAST_USERS = 1_000


@dataclass(frozen=True)
class Domain:
    """One domain as a shop of its own, split."""

    name: str
    data: DataSet
    split: LeaveOneOut
    vectors: Scores
    white: Scores


def domains(folder: Path) -> list[Domain]:
    """The domains of a set with enough users; those of the default set in the order of the papers."""
    items = set_items(pl.read_parquet(folder / "items.parquet"))
    log = set_log(pl.read_parquet(folder / "interactions.parquet"))
    whole = DataSet(folder.resolve().name, items, build_dataset(items, log))
    vectors = whole.vectors()
    found = []
    for name in sorted(items[DOMAIN].drop_nulls().unique().to_list() if DOMAIN in items.columns else [None]):
        mine = pl.Series([True] * items.height) if name is None else items[DOMAIN] == name
        part = items.filter(mine)
        dataset = build_dataset(part, log.filter(pl.col(c.ITEM_ID).is_in(part[c.ITEM_ID].implode())))
        if int((dataset.histories.lengths >= 3).sum()) >= LEAST_USERS:
            data = DataSet(f"{whole.name}/{name}", part, dataset)
            own = vectors[mine.to_numpy()]
            found.append(Domain(str(name), data, leave_one_out(dataset), own, whiten(own)))
    return found


def measured(domain: Domain, scores_of: Callable[[Histories], Scores], users: NDArray[np.int64]) -> PerUser:
    """NDCG@10 and recall@10 of every test user; ``scores_of(histories)`` gives float32 (n_users, n_items)."""
    test = domain.split.test
    met, lists = test.queries.matrix(), []
    for block in np.split(users, range(USERS_AT_ONCE, len(users), USERS_AT_ONCE)):
        scores = np.array(scores_of(test.queries.select(block)))
        known = met[block]
        scores[np.repeat(np.arange(len(block)), np.diff(known.indptr)), known.indices] = -np.inf
        lists += [best_columns(row, 10) for row in scores]
    ranked = Ranked(np.array(lists, np.int32))
    facts = ItemFacts.from_visible(domain.split.visible, domain.data.dataset.catalogue.category, domain.split.items)
    return evaluate(ranked, Answers.from_histories(test.answers.select(users)), facts, METRICS)


def trained(
    domain: Domain, method: str, settings: Mapping[str, object], seed: int, users: NDArray[np.int64], scratch: Path
) -> tuple[Cell, Path]:
    """Train a user model, compile it and let the compiled one rank; or what an earlier run kept of it.

    Returns:
        What it gave, and the folder that it lies in.
    """
    kept = KeptCells(method, {"set": domain.data.fingerprint, "settings": dict(settings), "users": len(users)})
    folder = (kept.folder if kept.lasting else scratch / f"{domain.name}-{method}") / f"model-{seed}"
    known = kept.get(0.0, seed)
    if known is not None:
        return known, folder
    config = SequenceConfig.model_validate({"seed": seed} | dict(settings))
    asked = domain.split.validation
    some = np.sort(np.random.default_rng(seed).permutation(len(asked.users))[:VALIDATION_USERS])
    validation = Validation(asked.queries.select(some), asked.answers.select(some).items)
    catalogue = domain.data.dataset.catalogue
    category, openings = catalogue.category, several_categories(catalogue)
    state = kept.folder / f"training-{seed}" if kept.lasting else None
    done = train(
        domain.split.visible, domain.white, category, config, validation=validation, folder=state, openings=openings
    )
    UserModel.of(done, domain.white if config.text else None, done.interactions, category).save(folder)
    outcome = measured(domain, added([folder]), users)
    best = int(np.argmax(done.ndcg))
    told = f"validation {done.ndcg[best]:.4f} after {best + 1} of {len(done.ndcg)} passes, {done.seconds:.0f} s"
    print(f"{domain.name}, {method}, seed {seed}: NDCG@10 {outcome.mean('ndcg@10'):.4f}, {told}", flush=True)
    cell = Cell(0.0, seed, users.astype(np.int32), {method: outcome}, done.seconds)
    kept.put(cell)
    return cell, folder


def added(folders: Sequence[Path]) -> Callable[[Histories], Scores]:
    """The sum of what several user models say."""
    models = [UserModel.load(folder) for folder in folders]
    return lambda histories: np.sum([model.users(histories) @ model.items.T for model in models], axis=0)


def ensemble(domain: Domain, cells: Sequence[Cell], folders: Sequence[Path], users: NDArray[np.int64]) -> Cell:
    """The user models of all seeds as one."""
    outcome = measured(domain, added(folders), users)
    return Cell(0.0, 0, users.astype(np.int32), {ENSEMBLE: outcome}, sum(cell.seconds for cell in cells))


def counted(domain: Domain, users: NDArray[np.int64]) -> dict[str, Cell]:
    """The simple means."""
    visible = Visible(domain.data.dataset.catalogue, domain.split.visible, domain.vectors, 0)
    ease = EaseConfig()
    sources = {
        "popularity": Popularity(),
        "item-kNN": ItemKnn(),
        f"EASE, {ease.max_items:,} items": Ease(ease),
        "frozen text": Content(ContentConfig(max_history=None)),
    }
    cells = {}
    for name, source in sources.items():
        started = time.perf_counter()
        fitted = source.fit(visible)
        outcome = {name: measured(domain, fitted.score, users)}
        cells[name] = Cell(0.0, 0, users.astype(np.int32), outcome, time.perf_counter() - started)
    return cells


def values_of(method: str, cells: Sequence[Cell], metric: str) -> NDArray[np.float64]:
    """Of every test user under every seed, float64 (n_seeds, n_users)."""
    return np.stack([cell.outcomes[method].users[metric] for cell in cells])


def figures_of(name: str, parts: Mapping[str, Sequence[Cell]]) -> dict[str, Figure]:
    """The names that others rely on, and every method's NDCG@10 and recall@10, pooled over seeds."""
    figures = {}
    for method, of_method in parts.items():
        prefix = {OURS: name, SASREC: f"{name}.sasrec_ss"}.get(method, f"{name}.{method}")
        for metric in METRICS:
            values = values_of(method, of_method, metric)
            found = interval(values.ravel(), clusters=np.tile(np.arange(values.shape[1]), len(values)))
            figures[f"{prefix}.{metric.split('@')[0]}"] = Figure(found.value, found.low, found.high)
        seconds = [cell.seconds for cell in of_method]
        figures[f"{prefix}.seconds"] = Figure(float(np.mean(seconds)), min(seconds), max(seconds), "s")
    ours, theirs = (values_of(method, parts[method], "ndcg@10").mean(axis=0) for method in (OURS, SASREC))
    ratio = ratio_interval(ours, theirs)
    return figures | {f"{name}.ratio": Figure(ratio.value, ratio.low, ratio.high)}


def parts_of(
    domain: Domain, users: NDArray[np.int64], seeds: Sequence[int], scratch: Path, *, ablated: bool, quick: bool
) -> dict[str, list[Cell]]:
    """What every method gave, under every seed that it was trained with."""
    parts: dict[str, list[Cell]] = {}
    extra = {"epochs": 1} if quick else {}
    for method, settings in CONFIGS.items():
        own = seeds if method in (OURS, SASREC) else seeds[:1] if ablated else ()
        done = [trained(domain, method, settings | extra, seed, users, scratch) for seed in own]
        if done:
            parts[method] = [cell for cell, _ in done]
        if method == OURS and len(done) > 1:
            parts[ENSEMBLE] = [ensemble(domain, parts[OURS], [folder for _, folder in done], users)]
    return parts | {method: [cell] for method, cell in counted(domain, users).items()}


def rows_of(name: str, parts: Mapping[str, Sequence[Cell]]) -> Iterator[tuple[str, ...]]:
    """The lines of the table."""
    for method, of_method in parts.items():
        means = {metric: values_of(method, of_method, metric).mean(axis=1) for metric in METRICS}
        yield (
            name, method, f"{np.mean(means['recall@10']):.4f}", f"{np.mean(means['ndcg@10']):.4f}",
            " ".join(f"{value:.4f}" for value in means["ndcg@10"]),
            f"{np.mean([cell.seconds for cell in of_method]):.0f}",
        )  # fmt: skip


def main() -> None:
    """Train, measure, print, write ``leave_one_out.json``."""
    arguments = parse_arguments(__doc__)
    quick = arguments.quick
    seeds = arguments.seeds or (SEEDS[:1] if quick else SEEDS)
    figures: dict[str, Figure] = {}
    table = Table(title="Leave-one-out, full catalogue")
    for head in ("set", "method", "recall@10", "NDCG@10", "by seed", "s of training"):
        table.add_column(head)
    with tempfile.TemporaryDirectory() as scratch:
        for number, domain in enumerate(domains(arguments.folder or data_set(SET))):
            n = len(domain.split.test.users)
            users = np.sort(np.random.default_rng(0).permutation(n)[: 2_000 if quick else n])
            parts = parts_of(domain, users, seeds, Path(scratch), ablated=number == 0 and not quick, quick=quick)
            for row in rows_of(domain.name, parts):
                table.add_row(*row)
            figures |= figures_of(domain.name, parts)
    Console().print(table)
    settings = SequenceConfig().model_dump(mode="json")
    write_result("leave_one_out", figures, seeds=seeds, quick=quick, extra={"settings": settings})


if __name__ == "__main__":
    main()
