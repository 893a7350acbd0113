"""A category opens: the ranker against every simple means, at every shot level, on users who are in no training.

Default: amazon18_arts_office, Arts from Office and Office from Arts, five seeds, 2,000 test users a cell; then
ten second-level launches on Complete Journey and on the same set, with an interval over launches. ``--set FOLDER``
takes every domain of that folder as target where enough users can be asked (the six with most of them), or else its
second-level categories. Order-free protocol of DESIGN §6 with a third of the eligible users as test users, also where a
log has times. At shot 0 nothing has happened in the category: popularity, item-kNN, EASE and ALS have nothing to say.

``NAME.parquet`` beside the result holds the NDCG@10 of every user under every method, so that every ratio can be
recomputed (2 MB at most, else only means and a hash are kept). An interrupted run of a clean commit goes on: finished
cells lie under ``$KUAPIN_CACHE``; ``minutes`` is of the last run alone.
"""

import hashlib
import math
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.cell import Cell
from benchmarks.cells import FROZEN, Bench, cells
from benchmarks.harness import RESULTS, Figure, commit, data_set, parse_arguments, write_result
from benchmarks.kept_cells import KeptCells
from benchmarks.sets import TEMPLATE, TEMPLATES, DataSet, complete_journey, load_set
from kuapin import columns as c
from kuapin.evaluation.bootstrap import Interval, interval, ratio_interval, ratio_over_launches
from kuapin.pipeline.report_pool import MODEL, Pool
from kuapin.text.template import TextConfig

SET = "amazon18_arts_office"
SEEDS = (0, 1, 2, 3, 4)
SHOTS = (0.0, 0.01, 0.1, 1.0)
SECOND_SHOTS = (0.0, 0.1)
MOST_DOMAINS, MOST_SECOND = 6, 10
LEAST_TEST_USERS = 30
SECOND_TEST_USERS = 800
METRIC = "ndcg@10"
MOST_BYTES = 2_000_000
SHORTFALL = 0.03
DRAW_NOISE = 0.2
"""At 1 % one draw of the first users moves popularity by so much (data/README.md), at s by √(0.01 / s) times it."""

ARTS, OFFICE = "Arts_Crafts_and_Sewing", "Office_Products"
REFERENCES: dict[tuple[str, float], dict[str, float]] = {
    (f"{ARTS}->{OFFICE}", 0.0): {FROZEN: 0.0170},
    (f"{ARTS}->{OFFICE}", 0.01): {"popularity": 0.0415, "item-kNN": 0.0184, FROZEN: 0.0170},
    (f"{ARTS}->{OFFICE}", 0.1): {"popularity": 0.0529, "item-kNN": 0.0285, FROZEN: 0.0170},
    (f"{ARTS}->{OFFICE}", 1.0): {"popularity": 0.0532, "item-kNN": 0.0486, FROZEN: 0.0170},
    (f"{OFFICE}->{ARTS}", 0.0): {FROZEN: 0.0128},
    (f"{OFFICE}->{ARTS}", 0.01): {"popularity": 0.0114, "item-kNN": 0.0144, FROZEN: 0.0128},
    (f"{OFFICE}->{ARTS}", 0.1): {"popularity": 0.0247, "item-kNN": 0.0214, FROZEN: 0.0128},
    (f"{OFFICE}->{ARTS}", 1.0): {"popularity": 0.0260, "item-kNN": 0.0355, FROZEN: 0.0128},
}
"""NDCG@10 of data/README.md, seed 0 of its own draw."""


@dataclass(frozen=True)
class Opening:
    """One launch to replay: ``SOURCE->TARGET`` and the items that open."""

    name: str
    items: NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """One launch at one shot level, pooled over seeds.

    Attributes:
        launch: its name.
        shot: the level.
        values: method → metric → float64 (n,); frozen text is the best way to read it.
        clusters: int32 (n,), the user of every value.
        seeds: int64 (n,).
        best: the best single baseline by the pooled mean.
        reading: how the best frozen text was read.
        seconds: of each cell, training and ranking.
        rivals: methods measured under some seeds only → their mean NDCG@10 and, on the same users, the best baseline's.
    """

    launch: str
    shot: float
    values: Mapping[str, Mapping[str, NDArray[np.float64]]]
    clusters: NDArray[np.int32]
    seeds: NDArray[np.int64]
    best: str
    reading: str
    seconds: tuple[float, ...]
    rivals: Mapping[str, tuple[float, float]]

    def ratio(self) -> Interval:
        """Ours to the best single baseline."""
        return ratio_interval(self.values[MODEL][METRIC], self.values[self.best][METRIC], clusters=self.clusters)

    def estimate(self, method: str, metric: str = METRIC) -> Interval:
        """The mean of one method."""
        return interval(self.values[method][metric], clusters=self.clusters)


def pooled(launch: str, measured: Sequence[Cell]) -> Row:
    """The cells of one launch and shot level, one seed after the other."""
    pool = Pool()
    for cell in measured:
        pool.add(cell.users, cell.outcomes)
    means = {name: float(pool.values(name, METRIC).mean()) for name in pool.methods}
    reading = max((name for name in means if name.startswith(FROZEN)), key=means.__getitem__)
    named = {
        FROZEN if name == reading else name: name for name in means if name == reading or not name.startswith(FROZEN)
    }
    values = {name: {m: pool.values(of, m) for m in (METRIC, "hit_rate@10")} for name, of in named.items()}
    best = max((name for name in values if name != MODEL), key=lambda name: float(values[name][METRIC].mean()))
    partly = {name for cell in measured for name in cell.outcomes} - set(pool.methods)
    rivals = {}
    for name in sorted(partly):
        both = [cell.outcomes for cell in measured if name in cell.outcomes]
        pairs = [(one[name].users[METRIC], one[reading if best == FROZEN else best].users[METRIC]) for one in both]
        rivals[name] = tuple(float(np.concatenate(values).mean()) for values in zip(*pairs, strict=True))
    return Row(
        launch,
        measured[0].shot,
        values,
        np.concatenate([cell.users for cell in measured]),
        np.concatenate([np.full(len(cell.users), cell.seed) for cell in measured]),
        best,
        reading.removeprefix(f"{FROZEN}: "),
        tuple(cell.seconds for cell in measured),
        rivals,
    )


def domains(data: DataSet) -> list[Opening]:
    """Every top-level category as target, where enough users can be asked; the largest first."""
    catalogue = data.dataset.catalogue
    found = {name: catalogue.category == code for code, name in enumerate(catalogue.categories)}
    largest = _largest(data, found, MOST_DOMAINS)
    rest = {name: next(n for n in found if n != name) if len(found) == 2 else "others" for name in found}
    return [Opening(f"{rest[name]}->{name}", found[name]) for name in largest]


def second_levels(data: DataSet) -> list[Opening]:
    """Second-level categories as targets, their top level's other items among the sources."""
    catalogue = data.dataset.catalogue
    steps = [[step.strip() for step in leaf.split(c.CATEGORY_SEPARATOR.strip())] for leaf in catalogue.leaves]
    paths = np.array([c.CATEGORY_SEPARATOR.join(path[:2]) if len(path) > 1 else "" for path in steps])
    of_item = paths[catalogue.leaf]
    found = {path: of_item == path for path in dict.fromkeys(paths.tolist()) if path}
    return [Opening(f"others->{name}", found[name]) for name in _largest(data, found, MOST_SECOND)]


def _largest(data: DataSet, found: Mapping[str, NDArray[np.bool_]], most: int) -> list[str]:
    """The names whose opening has the most test users, and enough of them."""
    met = data.dataset.histories.matrix()
    everything = np.asarray(met.sum(axis=1)).ravel()
    askable = {}
    for name, mask in found.items():
        inside = met @ mask.astype(np.float32)
        askable[name] = int(((inside > 0) & (inside < everything)).sum())
    enough = [name for name in askable if askable[name] >= 3 * LEAST_TEST_USERS]
    return sorted(enough, key=lambda name: (-askable[name], name))[:most]


def replay(
    bench: Bench,
    openings: Sequence[Opening],
    shots: Sequence[float],
    seeds: Sequence[int],
    *,
    rivals: Collection[int] | None = None,
) -> list[Row]:
    """Measure every launch, telling each cell as it comes; ``rivals`` as in ``cells``."""
    rows = []
    for opening in openings:
        measured: dict[float, list[Cell]] = {shot: [] for shot in shots}
        settings = {"set": bench.dataset.fingerprint, "templates": bench.templates, "users": bench.max_test_users}
        settings |= {"ease_items": bench.ease_items, "rivals": None if rivals is None else sorted(rivals)}
        kept = KeptCells(opening.name, settings)
        for cell in cells(bench, opening.items, shots, seeds, rivals=rivals, kept=kept):
            measured[cell.shot].append(cell)
            ours = float(cell.outcomes[MODEL].users[METRIC].mean())
            print(f"{opening.name} shot {cell.shot:g} seed {cell.seed}: {ours:.4f}, {cell.seconds:.0f} s", flush=True)
        rows += [pooled(opening.name, of_shot) for of_shot in measured.values()]
    return rows


def figures_of(rows: Iterable[Row]) -> dict[str, Figure]:
    """Ratio, NDCG@10, best baseline and the ratio's lower end of every cell."""
    figures = {}
    for row in rows:
        name, ratio, ours, best = f"{row.launch}.{row.shot:g}", row.ratio(), row.estimate(MODEL), row.estimate(row.best)
        figures |= {
            f"{name}.ratio": _figure(ratio),
            f"{name}.ranker_only.ndcg": _figure(ours),  # no launch asks the user model: the ranker is all there is
            f"{name}.low": Figure(ratio.low),
            f"{name}.ndcg": _figure(ours),
            f"{name}.best_baseline": _figure(best),
        }
    return figures


def over_launches(rows: Sequence[Row], name: str) -> dict[str, Figure]:
    """The ratio of the means over launches, each against the best baseline of its own; interval over launches."""
    figures = {}
    for shot in sorted({row.shot for row in rows}):
        of_shot = [row for row in rows if row.shot == shot]
        ours = [row.values[MODEL][METRIC] for row in of_shot]
        ratio = ratio_over_launches(ours, [row.values[row.best][METRIC] for row in of_shot])
        prefix = f"second_level.{name}.{shot:g}"
        figures |= {
            f"{prefix}.ratio": _figure(ratio),
            f"{prefix}.low": Figure(ratio.low),
            f"{prefix}.high": Figure(ratio.high),
            f"{prefix}.launches": Figure(len(of_shot)),
        }
    return figures


def _figure(estimate: Interval) -> Figure:
    """A figure; what is infinite or undefined (a baseline at 0) becomes a value that JSON can hold."""
    value, low, high = (v if math.isfinite(v) else None for v in (estimate.value, estimate.low, estimate.high))
    return Figure(value if value is not None else 0.0, low, high)


def below_reference(rows: Iterable[Row], n_seeds: int) -> list[str]:
    """Baselines whose interval lies wholly more than 3 % below the figures of data/README.md."""
    faults = []
    for row in rows:
        drawn = DRAW_NOISE * math.sqrt(0.01 / row.shot) if 0 < row.shot < 1 else 0.0
        slack = SHORTFALL + drawn * math.sqrt(1 + 1 / n_seeds)  # the reference is one draw itself
        for method, wanted in REFERENCES.get((row.launch, row.shot), {}).items():
            got = row.estimate(method)
            if got.high < (1 - slack) * wanted:
                faults.append(
                    f"{row.launch} at shot {row.shot:g}: {method} has NDCG@10 {got.value:.4f} ({got.low:.4f} to "
                    f"{got.high:.4f}), the reference is {wanted:.4f}."
                )
    return faults


def print_rows(title: str, rows: Sequence[Row]) -> None:
    """One line a cell with every method's NDCG@10."""
    methods = list(dict.fromkeys(name for row in rows for name in row.values if name != MODEL))
    table = Table(title=title)
    for head in ("launch", "shot", "users", MODEL, *methods, "ratio to the best", "s"):
        table.add_column(head, justify="left" if head == "launch" else "right")
    for row in rows:
        ratio = row.ratio()
        shown = [f"{row.values[name][METRIC].mean():.4f}" if name in row.values else "–" for name in methods]
        table.add_row(
            row.launch,
            f"{row.shot:g}",
            f"{len(row.clusters):,}",
            f"{row.values[MODEL][METRIC].mean():.4f}",
            *(f"[bold]{cell}[/bold]" if name == row.best else cell for name, cell in zip(methods, shown, strict=True)),
            f"{ratio.value:.2f} ({ratio.low:.2f}–{ratio.high:.2f})",
            f"{max(row.seconds):.0f}",
        )
    Console(width=max(Console().width, 190)).print(table)


def plain(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Every method of every cell, for the JSON file."""
    return [
        {
            "launch": row.launch,
            "shot": row.shot,
            "users": len(row.clusters),
            "best_baseline": row.best,
            "frozen_text": row.reading,
            "seconds": [round(seconds, 1) for seconds in row.seconds],
            "rivals_and_best": dict(row.rivals),
            "methods": {
                name: {metric: vars(row.estimate(name, metric)) for metric in metrics}
                for name, metrics in row.values.items()
            },
        }
        for row in rows
    ]


def store_scores(rows: Sequence[Row], folder: Path) -> dict[str, Any]:
    """Write the NDCG@10 of every user, or where that is more than 2 MB only say what it was."""
    frames = [
        pl.DataFrame(
            {"launch": [row.launch] * len(row.clusters), "shot": [row.shot] * len(row.clusters)}
            | {"seed": row.seeds, "user": row.clusters}
            | {name: metrics[METRIC].astype(np.float32) for name, metrics in row.values.items()}
        )
        for row in rows
    ]
    frame = pl.concat(frames, how="diagonal").with_columns(pl.col("launch").cast(pl.Categorical))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "launch.parquet"
    frame.write_parquet(path, compression="zstd", compression_level=19)
    described = {"rows": frame.height, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    if path.stat().st_size <= MOST_BYTES:
        return described | {"file": path.name}
    path.unlink()
    return described | {"file": None, "why": f"more than {MOST_BYTES:,} bytes"}


def main() -> None:
    """Run, print, write ``launch.json``; ends with an error where a baseline is below its reference."""
    started = time.perf_counter()
    commit()  # before anything else may move
    options = {
        "--only": {"choices": ("domains", "second-level"), "help": "one of the two parts"},
        "--rivals-once": {
            "action": "store_true",
            "help": "EASE and ALS, the slow ones, under the first seed only; ends with an error where one is the best",
        },
    }
    arguments = parse_arguments(__doc__, options=options)
    quick, only = arguments.quick, arguments.extra.only
    seeds = arguments.seeds or (SEEDS[:1] if quick else SEEDS)
    data = load_set(arguments.folder or data_set(SET))
    size = {"templates": TEMPLATES[:1], "max_test_users": 400, "ease_items": 2_000} if quick else {}
    bench = Bench(data, **size)
    rivals = seeds[:1] if arguments.extra.rivals_once else None
    rows: list[Row] = []
    figures: dict[str, Figure] = {}
    openings = domains(data)
    if only != "second-level" and openings:
        rows = replay(bench, openings[:1] if quick else openings, SHOTS[::2] if quick else SHOTS, seeds, rivals=rivals)
        print_rows(f"{data.name}: whole categories open", rows)
        figures |= figures_of(rows) | {"cell_seconds": _cell_seconds(rows)}
    second: dict[str, list[Row]] = {}
    if only != "domains" and (not openings or (arguments.folder is None and not quick)):
        for other in (data, complete_journey()) if arguments.folder is None else (data,):
            small = Bench(other, max_test_users=SECOND_TEST_USERS, ease_items=2_000)
            targets = second_levels(other)[: 2 if quick else None]
            found = replay(small, targets, SECOND_SHOTS, seeds[:1])
            if found:
                print_rows(f"{other.name}: second-level categories open", found)
                figures |= over_launches(found, other.name)
                second[other.name] = found
    if not figures:
        sys.exit(f"{data.name}: no category has {3 * LEAST_TEST_USERS} users with interactions in it and elsewhere.")
    everything = [*rows, *(row for found in second.values() for row in found)]
    extra = {
        "settings": {
            "set": data.name,
            "test_share": "1/3 of the eligible users",
            "max_test_users": bench.max_test_users,
            "ease_items": bench.ease_items,
            "templates": list(bench.templates),
            "ours_reads": f"{TEMPLATE}, and {{title}} again with weight {TextConfig().title_weight:g}",
            "encoder": "MiniLM, mean pooling, 256 tokens, the precision that this processor is best at",
            "second_level": f"seed {seeds[0]}, {SECOND_TEST_USERS} test users, EASE on 2,000 items",
            "baselines": "user statistics are counted for each draw; nothing but vectors is shared between cells",
        },
        "table": plain(rows),
        "second_level": {name: plain(found) for name, found in second.items()},
        "scores": store_scores(everything, RESULTS / "quick" if quick else RESULTS),
        "minutes": round((time.perf_counter() - started) / 60, 1),
    }
    write_result("launch", figures, seeds=seeds, quick=quick, extra=extra)
    faults = below_reference(rows, len(seeds)) if arguments.folder is None and not quick else []
    faults += [
        f"{row.launch} at shot {row.shot:g}: {name} has {mean:.4f}, the best of the others {best:.4f} on the same "
        "users. Measure it under every seed: run without --rivals-once."
        for row in rows
        for name, (mean, best) in row.rivals.items()
        if mean > best
    ]
    if faults:
        sys.exit("\n".join(faults))


def _cell_seconds(rows: Iterable[Row]) -> Figure:
    """The slowest cell, with the fastest and the slowest as ends."""
    seconds = [one for row in rows for one in row.seconds]
    return Figure(max(seconds), min(seconds), max(seconds), "s")


if __name__ == "__main__":
    main()
