"""A category opens: how long ``kuapin onboard`` takes, and whether what it expects is what comes.

Time: a shop of amazon18_arts_office without about 10,000 items (whole shelves of Office, drawn at random) is trained;
then a fresh process opens them as a category. ``seconds`` is of the whole command, encoding included, ``cpu_s`` what
it computed in all threads (on a busy machine the better figure), ``peak_mb`` its memory.

Honesty: second-level categories of the set are taken out one after the other, their users asked (in no training), and
what the replays of *other* parts let expect is compared with what is found: the share of ranges that hold the found
ratio to popularity (``.covered``, asked for .95), how wide they are (``.width``, upper to lower end), the expected and
the found ratio (geometric means), and the found NDCG@10 of the strategy that was chosen to that of the one that would
have been best (``.regret``, 1 is none). ``--only time|honesty`` does one of the two.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import Figure, data_set, parse_arguments, print_table, run_fresh, write_result
from benchmarks.launch import SET, second_levels
from benchmarks.sets import DataSet, load_set, set_items, set_log
from kuapin import columns as c
from kuapin.evaluation.launch import launch_split
from kuapin.pipeline.train import train
from kuapin.ranking.expectations import Range
from kuapin.ranking.lists import make_lists, ndcg_at_10
from kuapin.ranking.opening import open_category
from kuapin.ranking.ranker import RankingConfig
from kuapin.ranking.signals import SignalsConfig
from kuapin.ranking.simulation import SimulationConfig
from kuapin.ranking.strategies import POPULARITY, ranker_of
from kuapin.retrieval.source import Visible
from kuapin.retrieval.whitening import whiten
from kuapin.workspace import Shop

ITEMS, NEW = 10_000, "New"
SHOTS = (0.0, 0.1)
TEST_USERS = 800
COMMAND = """
import json, resource, sys, time
from kuapin import Shop
from kuapin.pipeline.onboard import onboard
started = time.perf_counter()
done = onboard(Shop.open(sys.argv[1]), sys.argv[2], sys.argv[3])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"job_s": time.perf_counter() - started, "cpu_s": used.ru_utime + used.ru_stime,
    "strategy": done.opening.strategy}), file=open(sys.argv[4], "w"))
"""


@dataclass(frozen=True)
class Checked:
    """One category: what was expected of the chosen strategy against popularity, and what was found.

    Attributes:
        category: its name.
        shot: the level.
        users: who were asked.
        strategy: that was chosen.
        expected: the ratio, with the range of one more category.
        found: the ratio.
        ndcg: found, by strategy.
    """

    category: str
    shot: float
    users: int
    strategy: str
    expected: Range
    found: float
    ndcg: dict[str, float]

    @property
    def covered(self) -> bool:
        """Whether the range holds what was found."""
        return self.expected.low <= self.found <= self.expected.high


def make_shop(folder: Path, scratch: Path, seed: int, *, quick: bool) -> tuple[Shop, Path, int]:
    """A trained shop without some shelves, the file of these, and how many items it has."""
    items, log = set_items(pl.read_parquet(folder / "items.parquet")), pl.read_parquet(folder / "interactions.parquet")
    new = _shelves(items, 500 if quick else ITEMS, seed)
    opened = items.filter(new).with_columns(
        pl.concat_str(pl.lit(NEW + c.CATEGORY_SEPARATOR), pl.col(c.CATEGORY)).alias(c.CATEGORY)
    )
    rest = items.filter(~new)
    if quick:
        rest = rest.sample(min(3_000, rest.height), seed=seed)
    log = set_log(log).filter(pl.col(c.ITEM_ID).is_in(rest[c.ITEM_ID].implode()))
    kept = [name for name in (c.ITEM_ID, c.TITLE, c.CATEGORY, c.BRAND, c.PRICE) if name in items.columns]
    paths = {name: scratch / f"{name}.parquet" for name in ("new", "items", "interactions")}
    opened.select(kept).write_parquet(paths["new"])
    rest.select(kept).write_parquet(paths["items"])
    log.write_parquet(paths["interactions"])
    shop = Shop.init(scratch / "shop")
    shop.import_files(items=paths["items"], interactions=paths["interactions"])
    train(shop, quick=True)
    return shop, paths["new"], opened.height


def _shelves(items: pl.DataFrame, wanted: int, seed: int) -> pl.Series:
    """Which items are on shelves drawn at random until ``wanted`` are: bool (n_items,)."""
    domain = items[c.CATEGORY].str.split(c.CATEGORY_SEPARATOR).list.first()
    last = items.filter(domain == domain.drop_nulls().unique().sort()[-1])[c.CATEGORY]
    shelves = last.value_counts(sort=True).sort(c.CATEGORY).sample(fraction=1.0, shuffle=True, seed=seed)
    drawn = shelves.filter(pl.col("count").cum_sum() <= wanted)[c.CATEGORY]
    return items[c.CATEGORY].is_in(drawn.implode()).fill_null(value=False)


def timed(folder: Path, seed: int, *, quick: bool) -> tuple[dict[str, Figure], dict[str, object]]:
    """Seconds and memory of the command."""
    with tempfile.TemporaryDirectory() as scratch:
        shop, path, items = make_shop(folder, Path(scratch), seed, quick=quick)
        said_path = Path(scratch) / "said.json"
        peak = run_fresh(COMMAND, str(shop.path), str(path), NEW, str(said_path))
        said = json.loads(said_path.read_text(encoding="utf-8"))
    figures = {
        "seconds": Figure(peak.seconds, unit="s"),
        "cpu_s": Figure(said["cpu_s"], unit="s"),
        "peak_mb": Figure(peak.mb, unit="MB"),
        "items": Figure(items),
    }
    return figures, {"time": said | {"items": items}}


def honesty(data: DataSet, seed: int, *, quick: bool) -> list[Checked]:
    """Expected and found of every second-level category."""
    vectors, texts = data.vectors(), data.texts()
    white = whiten(vectors)
    found = []
    for opening in second_levels(data)[: 2 if quick else None]:
        launches = launch_split(
            data.dataset, opening.items, SHOTS, seed, test_share=1 / 3, max_test_users=TEST_USERS, kind="order-free"
        )
        for launch in launches:
            started = time.perf_counter()
            visible = Visible(data.dataset.catalogue, launch.visible, vectors, launch.now, texts, white)
            opened = open_category(
                visible,
                launch.items,
                shot=launch.shot,
                hidden=1.0,
                signals=SignalsConfig(),
                ranking=RankingConfig(),
                simulation=SimulationConfig(shots=(launch.shot,), seed=seed),
            )
            if opened.expectations is None:
                continue
            signals = opened.recommender.signals
            lists = make_lists(signals, launch.queries, launch.items, launch.answers)
            ndcg = {}
            for strategy in opened.expectations.at(launch.shot).quality:
                ranker = opened.recommender.ranker
                if strategy != opened.strategy:
                    ranker = ranker_of(
                        strategy, signals.names, len(signals.signals), opened.expectations.lists, RankingConfig()
                    )
                ndcg[strategy] = float(ndcg_at_10(lists, ranker.score(lists.features)).mean())
            one = Checked(
                opening.name.removeprefix("others->"),
                launch.shot,
                len(launch.test_users),
                opened.strategy,
                opened.expectations.ratio(opened.strategy, launch.shot),
                ndcg[opened.strategy] / max(ndcg[POPULARITY], 1e-12),
                ndcg,
            )
            found.append(one)
            print(f"{one.category} {one.shot:g}: {one.expected} {one.found:.2f}, {time.perf_counter() - started:.0f} s")
    return found


def figures_of(checked: Sequence[Checked]) -> dict[str, Figure]:
    """Coverage, width, expected and found ratio, regret, at every shot level."""
    figures = {}
    for shot in sorted({one.shot for one in checked}):
        some = [one for one in checked if one.shot == shot]
        name = f"shot_{shot:g}"
        chosen = np.array([one.ndcg[one.strategy] for one in some])
        best = np.array([max(one.ndcg.values()) for one in some])
        figures |= {
            f"{name}.covered": Figure(float(np.mean([one.covered for one in some]))),
            f"{name}.launches": Figure(len(some)),
            f"{name}.expected_ratio": Figure(_geometric([one.expected.value for one in some])),
            f"{name}.found_ratio": Figure(_geometric([one.found for one in some])),
            f"{name}.width": Figure(_geometric([one.expected.high / one.expected.low for one in some])),
            f"{name}.regret": Figure(float(chosen.mean() / max(best.mean(), 1e-12))),
        }
    return figures


def _geometric(values: Sequence[float]) -> float:
    logs: NDArray[np.float64] = np.log(np.maximum(values, 1e-3))
    return float(np.exp(logs.mean()))


def main() -> None:
    """Measure, print, write ``onboard.json``."""
    options = {"--only": {"choices": ("time", "honesty"), "help": "one of the two parts"}}
    arguments = parse_arguments(__doc__, options=options)
    folder, quick = arguments.folder or data_set(SET), arguments.quick
    seed = (arguments.seeds or (0,))[0]
    figures: dict[str, Figure] = {}
    extra: dict[str, object] = {"set": folder.name}
    if arguments.extra.only != "honesty":
        figures, extra = timed(folder, seed, quick=quick)
    if arguments.extra.only != "time":
        checked = honesty(load_set(folder), seed, quick=quick)
        figures |= figures_of(checked)
        extra["checked"] = [asdict(one) | {"covered": one.covered} for one in checked]
        rows = [
            [
                one.category[-40:],
                f"{one.shot:g}",
                one.users,
                one.strategy,
                one.expected.low,
                one.expected.high,
                one.found,
            ]
            for one in checked
        ]
        print_table("Expected and found", ["category", "shot", "users", "chosen", "low", "high", "found"], rows)
    write_result("onboard", figures, seeds=[seed], quick=quick, extra=extra)


if __name__ == "__main__":
    main()
