"""Every objective under one strategy, and every strategy under one objective: what each finds at an opening, by text.

Default: amazon18_arts_office, Office from Arts, one seed, 2,000 users asked over the full catalogue of Office. All
train as the preset ``launch`` does but for what its name says: ``objective.NAME`` tunes its top layers,
``strategy.NAME`` tunes by co-interaction, ten times as fast where little is added. Steps, batches and titles are the
same for all. Every encoder is read in one way: the means of its embeddings and of its last layer, whitened on the
source's texts, over the history by log-sum-exp. ``untrained`` is the frozen encoder read so, which is what training
has to be compared with; ``best_frozen`` the best of six readings of it on the users asked. ``steps.full-N``: every
parameter for so many steps. ``steps.half-N``: its weights and the frozen ones, in equal parts (Wortsman et al. 2022,
arXiv:2109.01903). ``--full``: the rows that were best (``BEST_ROWS``, or ``--rows``) both ways under three seeds, all
pooled; ``finetuning_best.json``. Otherwise a file a kind of row, ``finetuning_depth_objective.json`` and so on.

Left-to-right objectives need a backbone that reads so: a small one from scratch, which knows what the source's titles
say and nothing else. An interrupted run of a clean commit goes on.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.cell import Cell
from benchmarks.cells import FROZEN, POOLINGS
from benchmarks.finetuning import PRESET, SET, Bench, judged, top_of
from benchmarks.harness import Figure, commit, data_set, parse_arguments, print_table, write_result
from benchmarks.kept_cells import KeptCells
from benchmarks.launch import METRIC, Opening, domains
from benchmarks.sets import TEMPLATES, load_set
from kuapin import columns as c
from kuapin.config import read_preset, validated
from kuapin.encoding.backbone import Backbone
from kuapin.encoding.export import quietly
from kuapin.encoding.settings import EncodingConfig
from kuapin.evaluation.bootstrap import ratio_interval
from kuapin.evaluation.launch import Launch
from kuapin.extras import require
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.material import Material
from kuapin.finetuning.objectives.registry import OBJECTIVES
from kuapin.finetuning.presets import find_preset
from kuapin.finetuning.scratch import ScratchConfig, write_scratch
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import STRATEGIES
from kuapin.retrieval.whitening import fit_whitening
from kuapin.text.template import TextConfig, render_titles

UNTRAINED, BEST = "untrained", "best_frozen"
BEST_ROWS = ("objective.token-classification", "objective.item-classification", "objective.regression")
FULL_SEEDS = (1, 2, 3)
"""Others than the one by which the rows were found the best."""
LARGE = ("full", "top-layers")
STEPS, LONG = 30, 150
MET = "met"
SMALL = ScratchConfig(width=192, layers=3, heads=6, positions=64, vocabulary=8000)


def settings(name: str, steps: int) -> FinetuningConfig:
    """Of one row, from the preset ``launch``."""
    path = find_preset(PRESET)
    preset = validated(FinetuningConfig, read_preset(path), str(path))
    kind, _, what = name.partition(".")
    loop: dict[str, Any] = {"max_steps": steps}
    changed: dict[str, Any] = {}
    if kind == "objective":
        changed = {"objective": what}
    elif kind == "strategy":
        changed = {"strategy": what}
        loop |= {} if what in LARGE else {"learning_rate": 10 * preset.training.learning_rate}
    else:
        changed, loop = {"strategy": "full"}, {"max_steps": int(what.rpartition("-")[2])}
    values = preset.model_dump() | changed | {"training": preset.training.model_dump() | loop}
    values |= {"item_classification": {"min_items": 20}, "regression": {"target": MET}}
    return FinetuningConfig.model_validate(values)


def material(bench: Bench, opening: Opening, launch: Launch, seed: int) -> Material:
    """What the launch shows: texts and histories of the source; how often an item was met is a number to be learnt."""
    data = bench.data
    catalogue = data.dataset.catalogue
    met = np.log1p(np.bincount(launch.visible.items, minlength=len(catalogue)))
    rows = np.flatnonzero(~opening.items & (met > 0))
    ids = data.items[c.ITEM_ID].gather(rows)
    labels = {c.ITEM_ID: ids, c.TASK: [MET] * len(rows), c.LABEL: [f"{met[row]:.3f}" for row in rows]}
    return Material(
        dataset=replace(data.dataset, histories=launch.visible),
        texts=tuple(data.texts().to_list()),
        titles=tuple(render_titles(data.items, TextConfig())),
        allowed=~opening.items,
        labels=pl.DataFrame(labels),
        log=pl.DataFrame(),
        seed=seed,
    )


def trained(source: Material, config: FinetuningConfig, folder: Path) -> tuple[Path, float]:
    """The tuned backbone, and the seconds of its training."""
    backbone = Backbone.resolve("minilm")
    folder.mkdir(parents=True, exist_ok=True)
    if OBJECTIVES[config.objective].reads == "left":
        titles = [title for title, allowed in zip(source.titles, source.allowed, strict=True) if allowed and title]
        write_scratch(folder / "gpt", titles, SMALL, left_to_right=True, seed=config.seed)
        backbone = Backbone.resolve(str(folder / "gpt"))
    run, target = folder / "run", folder / "tuned"
    run.mkdir(exist_ok=True)
    started = time.perf_counter()
    if not target.is_dir():
        adapt(source, config, backbone, run, target)
    return target, time.perf_counter() - started


def halved(tuned: Path, target: Path) -> Path:
    """The mean of the tuned weights and of those that training began with; without the projection that was fitted."""
    auto = require("transformers", "train").AutoModel
    shutil.copytree(tuned, target, dirs_exist_ok=True)
    with quietly():
        model, frozen = (
            auto.from_pretrained(one, local_files_only=True) for one in (tuned, Backbone.resolve("minilm").folder)
        )
        begun = frozen.state_dict()
        model.load_state_dict({name: (one + begun[name]) / 2 for name, one in model.state_dict().items()})
        model.save_pretrained(target)
    modules = json.loads((target / "modules.json").read_text())
    kept = [module for module in modules if not module["type"].endswith(".Dense")]
    (target / "modules.json").write_text(json.dumps(kept))
    return target


def vectors_of(bench: Bench, backbone: str, opening: Opening) -> NDArray[np.float32]:
    """Words and what they mean side by side, whitened on the source."""
    encoding = EncodingConfig(backbone=backbone, pooling="ends")
    vectors = bench.data.vectors("{title}", encoding)
    return fit_whitening(vectors[~opening.items]).of(vectors)


def base(bench: Bench, opening: Opening, launch: Launch) -> Cell:
    """The frozen encoder in every reading."""
    lists = {
        f"{FROZEN}: {template}, {pooling}": top_of(bench, launch, bench.data.vectors(template), pooling)
        for template in TEMPLATES
        for pooling in POOLINGS
    }
    lists[UNTRAINED] = top_of(bench, launch, vectors_of(bench, "minilm", opening), "logsumexp")
    return Cell(0.0, 0, launch.test_users, judged(bench, launch, lists), 0.0)


def figures_of(
    rows: Mapping[str, Sequence[Cell]], firsts: Sequence[Cell]
) -> tuple[dict[str, Figure], list[list[object]]]:
    """Every row's NDCG@10, in ratio to the best frozen reading and to the untrained one; one cell a seed, pooled."""
    users = np.concatenate([one.users for one in firsts])

    def of(cells: Sequence[Cell], name: str) -> NDArray[np.float64]:
        return np.concatenate([cell.outcomes[name].users[METRIC] for cell in cells])

    frozen = [name for name in firsts[0].outcomes if name.startswith(FROZEN)]
    best = max(frozen, key=lambda name: float(of(firsts, name).mean()))
    bars = {BEST: of(firsts, best), UNTRAINED: of(firsts, UNTRAINED)}
    figures, table = {f"{name}.ndcg": Figure(float(one.mean())) for name, one in bars.items()}, []
    ratio = ratio_interval(bars[UNTRAINED], bars[BEST], clusters=users)
    figures[f"{UNTRAINED}.to_{BEST}"] = Figure(ratio.value, ratio.low, ratio.high)
    for name, cells in rows.items():
        mine = of(cells, name)
        ratios = {bar: ratio_interval(mine, one, clusters=users) for bar, one in bars.items()}
        minutes = float(np.mean([cell.seconds for cell in cells])) / 60
        figures[f"{name}.ndcg"] = Figure(float(mine.mean()))
        figures |= {f"{name}.to_{bar}": Figure(one.value, one.low, one.high) for bar, one in ratios.items()}
        figures[f"{name}.minutes"] = Figure(minutes, unit="min")
        table.append([name, float(mine.mean()), *(one.value for one in ratios.values()), minutes])
    return figures, table


def names_of(*, quick: bool) -> Sequence[str]:
    """All rows."""
    if quick:
        return ("objective.simcse", "strategy.lora")
    rows = [f"objective.{name}" for name in OBJECTIVES] + [f"strategy.{name}" for name in STRATEGIES]
    return (*rows, f"steps.full-{LONG}", f"steps.half-{LONG}")


def measured(bench: Bench, opening: Opening, names: Sequence[str], steps: int, seed: int) -> tuple[Cell, list[Cell]]:
    """The frozen readings and every row, of one launch under one seed."""
    launch = bench.launch(opening, seed)
    source, cells = material(bench, opening, launch, seed), []
    for name in names:
        config = settings(name, steps).model_copy(update={"seed": seed})
        kept = KeptCells(f"finetuning depth {opening.name} {name}", config.model_dump(mode="json"))
        cell = kept.get(0.0, seed)
        if cell is None:
            with tempfile.TemporaryDirectory() as work:
                same = name.replace(".half-", ".full-")
                folder = (
                    KeptCells(f"depth {opening.name} {same} {seed}", {}).folder if kept.lasting else Path(work)
                ) / same
                backbone, seconds = trained(source, config, folder)
                if same != name:
                    backbone = halved(backbone, folder / "half")
                vectors = vectors_of(bench, str(backbone), opening)
            lists = {name: top_of(bench, launch, vectors, "logsumexp")}
            cell = Cell(0.0, seed, launch.test_users, judged(bench, launch, lists), seconds)
            kept.put(cell)
        cells.append(cell)
        found = f"{cell.outcomes[name].users[METRIC].mean():.4f} ({cell.seconds:.0f} s)"
        print(f"{opening.name} seed {seed} {name}: {found}", flush=True)
    return base(bench, opening, launch), cells


def main() -> None:
    """Run, print, write ``finetuning_depth_*.json``, or ``finetuning_best.json`` with ``--full``."""
    started = time.perf_counter()
    commit()  # before anything else may move
    options = {
        "--rows": {"nargs": "+", "metavar": "NAME", "help": "some of the rows"},
        "--only": {
            "metavar": "SOURCE->TARGET",
            "help": "another of the launches than the first; with --full, it alone",
        },
        "--full": {"action": "store_true", "help": "the best rows both ways, under three seeds"},
    }
    arguments = parse_arguments(__doc__, options=options)
    quick, full = arguments.quick, arguments.extra.full
    seeds = (arguments.seeds or FULL_SEEDS) if full else (arguments.seeds or (0,))[:1]
    steps = 3 if quick else STEPS
    names = arguments.extra.rows or (BEST_ROWS if full else names_of(quick=quick))
    data = load_set(arguments.folder or data_set(SET))
    openings = [one for one in domains(data) if arguments.extra.only in (None, one.name)][: 2 if full else 1]
    bench = Bench(data, settings("strategy.full", steps), 300 if quick else 2_000, ranker=False)
    figures: dict[str, Figure] = {}
    for opening in openings:
        cells = [measured(bench, opening, names, steps, seed) for seed in seeds]
        rows = {name: [of_seed[number] for _, of_seed in cells] for number, name in enumerate(names)}
        found, table = figures_of(rows, [first for first, _ in cells])
        figures |= {f"{opening.name}.{name}" if full else name: one for name, one in found.items()}
        print_table(opening.name, ["row", METRIC, "to best frozen", "to untrained", "minutes"], table)
    extra = {"launches": [one.name for one in openings], "steps": steps}
    extra["minutes"] = round((time.perf_counter() - started) / 60, 1)
    if full:
        write_result("finetuning_best", figures, seeds=seeds, quick=quick, extra=extra)
        return
    kinds = dict.fromkeys(name.partition(".")[0] for name in names)
    for kind in kinds:
        others = tuple(f"{one}." for one in kinds if one != kind)
        mine = {name: one for name, one in figures.items() if not name.startswith(others)}
        write_result(f"finetuning_depth_{kind}", mine, seeds=seeds, quick=quick, extra=extra)


if __name__ == "__main__":
    main()
