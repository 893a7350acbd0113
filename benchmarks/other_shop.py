"""A user model begins from that of another shop: is it better than one from scratch?

The start: a user model trained on all of amazon18_arts_office. The new shops: amazon18_office_industrial_timed and
online_retail_uk, the last tenth of whose logs is asked for. 100 %, 10 % and 1 % of a new shop's users, drawn by the
seed, are learnt from; those who are asked are always the same (4,000 at most), and their whole histories are read. The
user model alone ranks all items that a person has not met; NDCG@10 of what was new to him. ``scratch``; begun from the
other shop with ``all`` tuned, the ``adapter`` alone, or ``none`` (zero-shot); ``popularity`` of the same log beside
them. ``ratio`` is to ``scratch``, paired by user. Training ends by early stopping or after ``--passes``; one seed.

``--set FOLDER`` takes that folder, with times, as the new shop; ``--users N`` learns from N users of any shop at most.
An interrupted run of a clean commit goes on: finished parts lie under ``$KUAPIN_CACHE``, the start in ``--start``.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cell import Cell
from benchmarks.harness import Figure, data_set, parse_arguments, print_table, write_result
from benchmarks.kept_cells import KeptCells
from benchmarks.sets import DataSet, load_set
from kuapin.data.histories import Histories
from kuapin.evaluation.bootstrap import interval, ratio_interval
from kuapin.evaluation.metrics.registry import PerUser, evaluate
from kuapin.evaluation.ranked import Answers, ItemFacts, Ranked
from kuapin.evaluation.splits import Temporal, temporal
from kuapin.retrieval.best import best_columns
from kuapin.retrieval.source import Scores, Visible
from kuapin.retrieval.sources.popularity import Popularity
from kuapin.retrieval.whitening import Whitening, fit_whitening, load_whitening, save_whitening
from kuapin.sequence.compiled import FILE, UserModel
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.starting import Start
from kuapin.sequence.training import train

FIRST = "amazon18_arts_office"
SHOPS = ("amazon18_office_industrial_timed", "online_retail_uk")
SHARES = (1.0, 0.1, 0.01)
SCRATCH, POPULARITY = "scratch", "popularity"
METHODS = (SCRATCH, "all", "adapter", "none")
"""From scratch, and what is tuned of the other shop's user model."""
METRIC = "ndcg@10"
ASKED, QUICK_USERS, EVERYBODY = 4_000, 300, 10**9
PASSES, QUICK_PASSES = 20, 1
USERS_AT_ONCE = 512


@dataclass(frozen=True)
class NewShop:
    """A shop with a last tenth to be found.

    Attributes:
        data: the shop.
        split: over time.
        whitening: of its texts.
        white: float32 (n_items, d).
        most: users that are learnt from at most.
    """

    data: DataSet
    split: Temporal
    whitening: Whitening
    white: Scores
    most: int

    @classmethod
    def of(cls, folder: Path, asked: int, most: int, seed: int) -> "NewShop":
        """Read a folder; ``asked`` users at most are asked."""
        data = load_set(folder)
        split, whitening = temporal(data.dataset, max_test_users=asked, seed=seed), fit_whitening(data.vectors())
        return cls(data, split, whitening, whitening.of(data.vectors()), most)

    def log(self, share: float, seed: int) -> Histories:
        """What a share of the users did before the last tenth."""
        visible = self.split.visible
        order = np.random.default_rng([seed, 5]).permutation(np.flatnonzero(visible.lengths))[: self.most]
        learnt = np.zeros(len(visible), np.bool_)
        learnt[order[: max(1, round(share * len(order)))]] = True
        return visible.keep(learnt[visible.users])


def start_of(seed: int, passes: int, most: int, folder: Path) -> None:
    """Train a user model on at most so many users of the first shop, and leave it in a folder."""
    data = load_set(data_set(FIRST))
    log, category = data.dataset.histories, data.dataset.catalogue.category
    log = log.select(np.sort(np.random.default_rng(seed).permutation(len(log))[:most]))
    whitening = fit_whitening(data.vectors())
    white = whitening.of(data.vectors())
    done = train(log, white, category, SequenceConfig(seed=seed, epochs=passes, minutes=None), folder=folder)
    print(f"{FIRST}: validation {max(done.ndcg):.4f}, {len(done.ndcg)} passes, {done.seconds:.0f} s", flush=True)
    save_whitening(whitening, folder)
    UserModel.of(done, white, done.interactions, category).save(folder)


def fingerprint_of(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def user_model(shop: NewShop, start: Start, method: str, log: Histories, config: SequenceConfig) -> UserModel:
    """The user model of a new shop, by one of the methods."""
    mine = start.on(shop.whitening.axes, shop.white)
    if method == "none":
        return mine.untuned(shop.white)
    category = shop.data.dataset.catalogue.category
    config = config.model_copy(update={} if method == SCRATCH else {"tune": method})
    done = train(log, shop.white, category, config, start=None if method == SCRATCH else mine)
    told = f"validation {np.max(done.ndcg):.4f} after {np.argmax(done.ndcg) + 1} of {len(done.ndcg)} passes"
    print(f"{shop.data.name}, {method}, {len(log.items):,} interactions: {told}, {done.seconds:.0f} s", flush=True)
    return UserModel.of(done, shop.white, done.interactions, category)


def measured(shop: NewShop, scores_of: Callable[[Histories], Scores]) -> PerUser:
    """NDCG@10 of every user who is asked, met items struck out."""
    test, lists = shop.split.new, []
    for block in np.split(np.arange(len(test.users)), range(USERS_AT_ONCE, len(test.users), USERS_AT_ONCE)):
        queries = test.queries.select(block)
        scores, met = np.array(scores_of(queries)), queries.matrix()
        scores[np.repeat(np.arange(len(block)), np.diff(met.indptr)), met.indices] = -np.inf
        lists += [best_columns(row, 10) for row in scores]
    category = shop.data.dataset.catalogue.category
    facts = ItemFacts.from_visible(shop.split.visible, category, shop.split.items)
    return evaluate(Ranked(np.array(lists, np.int32)), Answers.from_histories(test.answers), facts, (METRIC,))


def values_of(
    shop: NewShop, start: Start, method: str, share: float, seed: int, settings: Mapping[str, object]
) -> NDArray[np.float64]:
    """NDCG@10 by user, of one method at one share, or what an earlier run kept of it."""
    kept = KeptCells(f"other shop, {method}", {"set": shop.data.fingerprint, **settings})
    cell = kept.get(share, seed)
    if cell is None:
        started, log = time.perf_counter(), shop.log(share, seed)
        if method == POPULARITY:
            visible = Visible(shop.data.dataset.catalogue, log, None, shop.split.cut)
            outcome = measured(shop, Popularity().fit(visible).score)
        else:
            config = SequenceConfig.model_validate({"seed": seed, "epochs": settings["passes"], "minutes": None})
            model = user_model(shop, start, method, log, config)
            outcome = measured(shop, lambda histories: model.users(histories) @ model.items.T)
        users = shop.split.new.users.astype(np.int32)
        cell = Cell(share, seed, users, {method: outcome}, time.perf_counter() - started)
        kept.put(cell)
    return cell.outcomes[method].users[METRIC]


def figures_of(name: str, values: Mapping[str, NDArray[np.float64]]) -> dict[str, Figure]:
    """NDCG@10 of every method, and what was begun from another shop to what was not."""
    figures = {}
    for method, one in values.items():
        mean = interval(one)
        figures[f"{name}.{method}.ndcg"] = Figure(mean.value, mean.low, mean.high)
        if method not in (SCRATCH, POPULARITY):
            ratio = ratio_interval(one, values[SCRATCH])
            figures[f"{name}.{method}.ratio"] = Figure(ratio.value, ratio.low, ratio.high)
    return figures


def main() -> None:
    """Train, rank, print, write ``results/other_shop.json``."""
    options = {
        "--passes": {"type": int, "default": PASSES, "metavar": "N", "help": "passes over a log at most"},
        "--users": {"type": int, "default": EVERYBODY, "metavar": "N", "help": "users of any shop learnt from at most"},
        "--start": {"type": Path, "metavar": "FOLDER", "help": "where the start is left, or was by an earlier run"},
    }
    arguments = parse_arguments(__doc__, options=options)
    quick, seed, most = arguments.quick, (arguments.seeds or (0,))[0], arguments.extra.users
    passes = QUICK_PASSES if quick else arguments.extra.passes
    figures: dict[str, Figure] = {}
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        place = arguments.extra.start or Path(scratch)
        if not (place / FILE).exists():
            start_of(seed, passes, QUICK_USERS if quick else most, place)
        start = Start.of(UserModel.load(place), load_whitening(place).axes)
        settings = {
            "passes": passes,
            "asked": QUICK_USERS if quick else ASKED,
            "users": most,
            "start": fingerprint_of(place / FILE),
        }
        for folder in [arguments.folder] if arguments.folder else [data_set(name) for name in SHOPS]:
            shop = NewShop.of(folder, settings["asked"], most, seed)
            for share in SHARES[1:] if quick else SHARES:
                values = {
                    method: values_of(shop, start, method, share, seed, settings) for method in (*METHODS, POPULARITY)
                }
                figures |= figures_of(f"{shop.data.name}.{share:g}", values)
                rows.append([f"{shop.data.name}, {share:.0%}", *(float(one.mean()) for one in values.values())])
    print_table("Another shop, NDCG@10 of what is new", ["shop, share of its users", *METHODS, POPULARITY], rows)
    write_result("other_shop", figures, seeds=[seed], quick=quick, extra={"first": FIRST, **settings})


if __name__ == "__main__":
    main()
