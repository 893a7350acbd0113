"""Every objective with every strategy for a few steps, and what each strategy costs and brings.

*Matrix*: the most met titles of amazon18_arts_office (Arts); a few steps on MiniLM (left-to-right objectives: a small
GPT from scratch), saved, loaded again, exported to OpenVINO; ``bf16_kept`` and ``int8_kept``: share of the ten nearest
titles that are kept of what torch gives in float32. *Strategies*: co-interaction on more of them, each in a process of
its own: trained parameters, seconds a step, most memory, MRR of users who were not in it (``frozen.mrr``: before).
Learning rates are ten times as high where little is added; nothing is chosen. An interrupted run of a clean commit
goes on.
"""

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.harness import Figure, commit, data_set, parse_arguments, run_fresh, write_result
from benchmarks.kept_cells import KeptCells
from benchmarks.sets import set_items, set_log
from kuapin import columns as c
from kuapin.data.dataset import build_dataset
from kuapin.encoding.backbone import CHANGE, Backbone
from kuapin.encoding.opening import open_encoder
from kuapin.encoding.settings import EncodingConfig
from kuapin.finetuning.adapting import adapt
from kuapin.finetuning.change import load_change
from kuapin.finetuning.material import Material
from kuapin.finetuning.objectives.registry import OBJECTIVES
from kuapin.finetuning.scratch import ScratchConfig, write_scratch
from kuapin.finetuning.settings import FinetuningConfig
from kuapin.finetuning.strategies.registry import STRATEGIES

SET, DOMAIN = "amazon18_arts_office", "Arts_Crafts_and_Sewing"
TITLES, STEPS, LENGTH = 600, 3, 32
"""Of the matrix: titles, steps, tokens."""
LEARNT, LONG = 4_000, 60
"""Of the strategies: titles, steps."""
LARGE = ("full", "top-layers")
PAIR, STRATEGY = "pair", "strategy"


def material(n: int) -> Material:
    """The ``n`` most met titles of Arts with their log; the number of words stands for a number to be learnt."""
    folder = data_set(SET)
    log = set_log(pl.read_parquet(folder / "interactions.parquet").filter(pl.col("domain") == DOMAIN))
    met = log[c.ITEM_ID].value_counts().sort(["count", c.ITEM_ID], descending=[True, False])[c.ITEM_ID].head(n)
    items = set_items(pl.read_parquet(folder / "items.parquet").filter(pl.col(c.ITEM_ID).is_in(met.implode())))
    log = log.filter(pl.col(c.ITEM_ID).is_in(met.implode()))
    titles = items[c.TITLE].to_list()
    words = {c.ITEM_ID: items[c.ITEM_ID], c.TASK: ["words"] * n, c.LABEL: [str(len(one.split())) for one in titles]}
    return Material(
        dataset=build_dataset(items, log),
        texts=tuple(titles),
        titles=tuple(titles),
        allowed=np.ones(n, np.bool_),
        labels=pl.DataFrame(words),
        log=log,
        seed=0,
    )


def settings(objective: str, strategy: str, steps: int, batch_size: int) -> FinetuningConfig:
    """Of one run; validated as a preset is."""
    values: dict[str, Any] = {
        "objective": objective,
        "strategy": strategy,
        "max_length": LENGTH,
        "training": {
            "max_steps": steps, "batch_size": batch_size, "evaluate_every": 1e6, "tracker": "none",
            "learning_rate": 2e-5 if strategy in LARGE else 2e-4,
        },
        "item_classification": {"min_items": 8},
        "regression": {"target": "words"},
        "co_interaction": {"held_out": 0.2},
    }  # fmt: skip
    return FinetuningConfig.model_validate(values)


def pair(objective: str, strategy: str) -> dict[str, Any]:
    """Train a few steps, load again, export, and compare neighbours."""
    data = material(TITLES)
    config = settings(objective, strategy, STEPS, 16)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        backbone = Backbone.resolve("minilm")
        if OBJECTIVES[objective].reads == "left":
            small = ScratchConfig(width=128, layers=2, heads=2, positions=64, vocabulary=4000)
            write_scratch(folder / "gpt", data.texts, small, left_to_right=True, seed=0)
            backbone = Backbone.resolve(str(folder / "gpt"))
        (folder / "run").mkdir()
        done = adapt(data, config, backbone, folder / "run", folder / "new")
        load_change(done.folder / CHANGE, backbone)
        texts = list(dict.fromkeys(data.texts))

        def encoded(engine: str, precision: str) -> NDArray[np.float32]:
            chosen = {"backbone": str(done.folder), "engine": engine, "precision": precision, "max_length": LENGTH}
            return open_encoder(EncodingConfig.model_validate(chosen), folder / "encoders", texts).encode(texts)

        exact = encoded("torch", "f32")
        kept = {one: neighbours_kept(encoded("openvino", one), exact) for one in ("bf16", "int8")}
    return {"kept": kept, "loss": done.outcome.after.values["loss"]}


def strategy_of(strategy: str, steps: int) -> dict[str, Any]:
    """Train co-interaction for some more steps."""
    data = material(LEARNT)
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "run").mkdir()
        config = settings("co-interaction", strategy, steps, 32)
        done = adapt(data, config, Backbone.resolve("minilm"), Path(work) / "run", Path(work) / "new").outcome
    means = {"before": done.before.values["mrr"], "after": done.after.values["mrr"]}
    return {"parameters": done.trained, "seconds": done.seconds_per_step, **means}


def neighbours_kept(vectors: NDArray[np.float32], exact: NDArray[np.float32], n: int = 10) -> float:
    """Share of the ``n`` nearest of ``exact`` that are the nearest by ``vectors`` too; both are unit vectors (n, d)."""

    def nearest(of: NDArray[np.float32]) -> NDArray[np.intp]:
        cosine = of @ of.T
        np.fill_diagonal(cosine, -np.inf)
        return np.argsort(-cosine, axis=1, kind="stable")[:, :n]

    pairs = zip(nearest(vectors), nearest(exact), strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / n for a, b in pairs]))


def cell(kind: str, objective: str, strategy: str, steps: int, path: str) -> None:
    """One measurement, in the process that runs it; the result is a JSON file."""
    found = pair(objective, strategy) if kind == PAIR else strategy_of(strategy, steps)
    Path(path).write_text(json.dumps(found))


def measured(kind: str, objective: str, strategy: str, steps: int, kept: Path | None) -> dict[str, Any]:
    """A cell in a fresh process, or as an earlier run of this commit left it."""
    path = kept / f"{kind}-{objective}-{strategy}-{steps}.json" if kept is not None else None
    if path is not None and path.exists():
        return dict(json.loads(path.read_text()))
    with tempfile.TemporaryDirectory() as work:
        told = Path(work) / "told.json"
        code = "import sys; from benchmarks.finetuning_matrix import cell; a = sys.argv[1:]; "
        code += "cell(a[0], a[1], a[2], int(a[3]), a[4])"
        peak = run_fresh(code, kind, objective, strategy, str(steps), str(told))
        found = dict(json.loads(told.read_text())) | {"peak_mb": peak.mb, "wall": peak.seconds}
    print(f"{kind} {objective} {strategy}: {found}", flush=True)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return found


def least(grid: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, Figure]:
    """How many pairs there are, and the least that any of them keeps in either precision."""
    kept = [one for row in grid.values() for one in row.values()]
    figures = {"pairs": Figure(float(len(kept)))}
    return figures | {f"least.{one}_kept": Figure(min(pair[one] for pair in kept)) for one in ("bf16", "int8")}


def costs(strategies: Mapping[str, Mapping[str, Any]]) -> dict[str, Figure]:
    """Every strategy's row, and what the users are asked before any of them trains."""
    figures = {}
    for name, one in strategies.items():
        figures["frozen.mrr"] = Figure(one["before"])
        figures |= {
            f"{name}.parameters": Figure(float(one["parameters"])),
            f"{name}.seconds_per_step": Figure(one["seconds"], unit="s"),
            f"{name}.peak_mb": Figure(one["peak_mb"], unit="MB"),
            f"{name}.mrr": Figure(one["after"]),
        }
    return figures


def main() -> None:
    """Run, print, write ``finetuning_matrix.json`` and ``finetuning_strategies.json``."""
    started = time.perf_counter()
    commit()  # before anything else may move
    options = {
        "--objectives": {"nargs": "+", "choices": list(OBJECTIVES), "help": "of the matrix; all by default"},
        "--part": {"choices": [PAIR, STRATEGY], "help": "the matrix, or the strategies, alone"},
    }
    arguments = parse_arguments(__doc__, options=options)
    quick, part = arguments.quick, arguments.extra.part
    kept = KeptCells("finetuning matrix", {"titles": [TITLES, LEARNT], "steps": [STEPS, LONG], "length": LENGTH})
    folder = kept.folder if kept.lasting else None
    objectives = arguments.extra.objectives or (["simcse"] if quick else list(OBJECTIVES))
    names = ["lora"] if quick else list(STRATEGIES)
    steps = 6 if quick else LONG
    if part != STRATEGY:
        matrix = {one: {name: measured(PAIR, one, name, STEPS, folder) for name in names} for one in objectives}
        grid = {one: {name: cell["kept"] for name, cell in row.items()} for one, row in matrix.items()}
        extra = {"grid": grid, "minutes": round((time.perf_counter() - started) / 60, 1)}
        write_result("finetuning_matrix", least(grid), seeds=[0], quick=quick, extra=extra)
    if part != PAIR:
        found = {name: measured(STRATEGY, "co-interaction", name, steps, folder) for name in names}
        write_result("finetuning_strategies", costs(found), seeds=[0], quick=quick)


if __name__ == "__main__":
    main()
