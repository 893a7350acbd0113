"""What the user model costs: training against the size of catalogue and log, and one user's vector.

Made-up logs, for only the cost is measured: items drawn as 1 / rank, ten interactions a user, 20 categories, random
unit text vectors of 384, all by one seed. One size is moved at a time: 10,000, 100,000 and 1,000,000 items with a log
of a million; 0.1, 1 and 10 million interactions with 100,000 items. Every cell is a process of its own.

``pass_s``: seconds of one pass over the log; ``pass_cpu_s``: of the processor, in all threads, the better figure on a
busy machine. Up to 150 batches a pass is measured whole, else 150 of its batches, in the random order of training,
times batches a pass; ``batches`` says of how many (interval: of the mean batch). ``rest_cpu_s``: all else that a
training takes once: what is counted beforehand, one validation of 4,000 users over all items, compiling, saving.
``peak_mb`` is of the whole process, ``data_mb`` with torch and the log, before the model is made. ``slope``: of the
logarithm on the logarithm of the size, over all sizes; 1 is linear.

``one_user_ms`` and ``batch_2000_s``: vectors of one user and of 2,000, histories of 50 among 100,000 items, by the
compiled model. ``--only training`` and ``--only serving`` measure one part and keep what the file says of the other.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import (
    LOAD_AT_START,
    RESULTS,
    Figure,
    commit,
    hardware,
    interval,
    parse_arguments,
    resident_mb,
    run_fresh,
    write_result,
)
from kuapin.data.histories import Histories, from_interactions
from kuapin.extras import require
from kuapin.sequence.compiled import UserModel
from kuapin.sequence.item_representation import Vectors
from kuapin.sequence.run import Run
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.trained import Trained
from kuapin.sequence.validation import hold_out

ITEMS, LOG = (10_000, 100_000, 1_000_000), (100_000, 1_000_000, 10_000_000)
QUICK_ITEMS, QUICK_LOG = (30_000, 3_000), (3_000, 10_000)
EACH = 10
"""Interactions of a user, on average."""
CATEGORIES = 20
TEXT_SIZE = 384
BATCHES, QUICK_BATCHES = 150, 8
WARM_UP = 3
SERVED_ITEMS, USERS, HISTORY = 100_000, 2_000, 50
PARTS = ("training", "serving")
CELL = "import sys; from benchmarks.cost import cell; cell(*map(int, sys.argv[1:5]), sys.argv[5])"


def made_up(n_items: int, n_interactions: int, seed: int) -> tuple[Histories, Vectors, np.ndarray]:
    """A log, text vectors float32 (n_items, 384), and categories int32 (n_items,)."""
    rng = np.random.default_rng(seed)
    chance = np.cumsum(1 / np.arange(1.0, n_items + 1))
    of_rank = rng.permutation(n_items)
    items = of_rank[np.searchsorted(chance, rng.random(n_interactions) * chance[-1])]
    n_users = max(n_interactions // EACH, 1)
    users, times = rng.integers(0, n_users, n_interactions), rng.integers(0, 365 * 86_400, n_interactions)
    events = rng.integers(0, 4, n_interactions).astype(np.uint8)
    log = from_interactions(users, items, times, events, n_users=n_users, n_items=n_items, timed=True)
    text = rng.standard_normal((n_items, TEXT_SIZE), np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    return log, text, rng.integers(0, CATEGORIES, n_items).astype(np.int32)


def cell(n_items: int, n_interactions: int, most: int, seed: int, path: str) -> None:
    """Measure one cell in this process and write what was found to a JSON file."""
    require("torch", "train")  # reading the library is no cost of a log
    log, text, categories = made_up(n_items, n_interactions, seed)
    found: dict[str, float] = {"data_mb": resident_mb()}
    config, rng = SequenceConfig(seed=seed), np.random.default_rng(seed)
    with spent(found, "begin"):
        log, validation = hold_out(log, config.validation_users, seed)
        run = Run(log, text, categories, config)
    with spent(found, "plan"):
        plan = run.batches.plan(rng)
    for users, opening in plan[:WARM_UP]:
        run.step(run.batches.batch(users, rng, opening=opening))
    steps = []
    for users, opening in plan[:most]:
        one: dict[str, float] = {}
        with spent(one, "step"):
            run.step(run.batches.batch(users, rng, opening=opening))
        steps.append(one)
    cpu = [one["step_cpu_s"] for one in steps]
    found |= {"batches": len(steps), "batches_a_pass": len(plan)}
    found["spread_s"] = 1.96 * float(np.std(cpu)) / len(cpu) ** 0.5 * len(plan) if len(cpu) < len(plan) else 0.0
    for clock in ("s", "cpu_s"):
        found[f"pass_{clock}"] = found[f"plan_{clock}"] + float(np.mean([one[f"step_{clock}"] for one in steps])) * len(
            plan
        )
    with spent(found, "validation"):
        run.judge(validation)
    with spent(found, "compile"):
        model = UserModel.of(trained_of(run), text, run.interactions, categories)
    with spent(found, "save"), tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
    Path(path).write_text(json.dumps(found), encoding="utf-8")


@contextmanager
def spent(found: dict[str, float], name: str) -> Iterator[None]:
    """Note the seconds of a ``with`` block, ``NAME_s``, and of the processor, ``NAME_cpu_s``."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    found |= {f"{name}_s": time.perf_counter() - wall, f"{name}_cpu_s": time.process_time() - cpu}


def trained_of(run: Run) -> Trained:
    """The model as it is."""
    weights = {name: value.detach().cpu().numpy() for name, value in run.weights.items()}
    return Trained(run.config, weights, run.interactions, tuple(run.ndcg), run.seconds)


def training(seed: int, *, quick: bool) -> tuple[dict[str, Figure], dict[str, Any]]:
    """Every cell, and the slopes."""
    sizes = {"items": QUICK_ITEMS if quick else ITEMS, "log": QUICK_LOG if quick else LOG}
    usual = {name: of[1] for name, of in sizes.items()}
    done: dict[tuple[int, int], dict[str, float]] = {}
    figures: dict[str, Figure] = {}
    for moved, of in sizes.items():
        for size in of:
            at = (size, usual["log"]) if moved == "items" else (usual["items"], size)
            if at not in done:
                done[at] = measured_cell(*at, QUICK_BATCHES if quick else BATCHES, seed)
            figures |= figures_of(f"{moved}.{size}", done[at])
        for name in ("pass_cpu_s", "rest_cpu_s", "peak_mb"):
            values = [figures[f"{moved}.{size}.{name}"].value for size in of]
            figures[f"{moved}.slope.{name}"] = Figure(slope(of, values))
    return figures, {f"{items} items, {log} interactions": one for (items, log), one in done.items()}


def measured_cell(n_items: int, n_interactions: int, most: int, seed: int) -> dict[str, float]:
    """One cell in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.json"
        peak = run_fresh(CELL, *map(str, (n_items, n_interactions, most, seed)), str(path))
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    print(f"{n_items:,} items, {n_interactions:,} interactions: {found}, {peak}", flush=True)
    return found | {"peak_mb": peak.mb, "process_s": peak.seconds}


def figures_of(name: str, found: Mapping[str, float]) -> dict[str, Figure]:
    """The figures of one cell."""
    cpu, spread = found["pass_cpu_s"], found["spread_s"]
    rest = sum(found[f"{part}_cpu_s"] for part in ("begin", "validation", "compile", "save"))
    return {
        f"{name}.pass_s": Figure(found["pass_s"], unit="s"),
        f"{name}.pass_cpu_s": Figure(cpu, cpu - spread, cpu + spread, "s"),
        f"{name}.batches": Figure(found["batches"], unit=f"of {found['batches_a_pass']:,.0f}"),
        f"{name}.rest_cpu_s": Figure(rest, unit="s"),
        f"{name}.peak_mb": Figure(found["peak_mb"], unit="MB"),
        f"{name}.data_mb": Figure(found["data_mb"], unit="MB"),
    }


def slope(sizes: tuple[int, ...], values: list[float]) -> float:
    """Least squares of log(value) on log(size)."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def serving(seed: int, *, quick: bool) -> dict[str, Figure]:
    """One user's vector, and those of 2,000."""
    log, text, categories = made_up(SERVED_ITEMS // (100 if quick else 1), USERS * EACH, seed)
    run = Run(log, text, categories, SequenceConfig(seed=seed))
    model = UserModel.of(trained_of(run), text, run.interactions, categories)
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(USERS), HISTORY)
    times = np.tile(np.arange(HISTORY) * 3_600, USERS)
    items, events = rng.integers(0, log.n_items, len(users)), rng.integers(0, 4, len(users)).astype(np.uint8)
    asked = from_interactions(users, items, times, events, n_users=USERS, n_items=log.n_items, timed=True)
    one = [asked.select(np.array([user])) for user in range(500)]
    seconds = [timed(model, histories) for histories in one]
    batches = [timed(model, asked) for _ in range(3 if quick else 7)]
    return {
        "one_user_ms": interval(1e3 * np.array(seconds[20:]), "ms"),
        "one_user_p99_ms": Figure(1e3 * float(np.quantile(seconds[20:], 0.99)), unit="ms"),
        "batch_2000_s": interval(batches, "s"),
    }


def timed(model: UserModel, histories: Histories) -> float:
    """Seconds that the vectors of some users take."""
    started = time.perf_counter()
    model.users(histories)
    return time.perf_counter() - started


def main() -> None:
    """Measure, print, write ``results/cost.json``."""
    arguments = parse_arguments(
        __doc__,
        options={
            "--only": {"choices": PARTS, "help": "measure this part, keep the figures of the other"},
            "--beside": {"default": "", "metavar": "TEXT", "help": "what else the machine did meanwhile"},
        },
    )
    quick, seed = arguments.quick, (arguments.seeds or (0,))[0]
    wanted = (arguments.extra.only,) if arguments.extra.only else PARTS
    path = (RESULTS / "quick" if quick else RESULTS) / "cost.json"
    before = json.loads(path.read_text(encoding="utf-8")) if len(wanted) == 1 and path.exists() else {"figures": {}}
    is_serving = {name: name.startswith(("one_user", "batch_")) for name in before["figures"]}
    figures = {
        name: Figure(**one) for name, one in before["figures"].items() if is_serving[name] != ("serving" in wanted)
    }
    extra = {"measured": before.get("measured", {}), "cells": before.get("cells", {})}
    of_now = {"commit": commit(), "cores": hardware()["cores"], "load_at_start": round(LOAD_AT_START, 2)}
    extra["measured"] |= {part: of_now | {"beside": arguments.extra.beside} for part in wanted}
    if "training" in wanted:
        of_training, extra["cells"] = training(seed, quick=quick)
        figures |= of_training
    if "serving" in wanted:
        figures |= serving(seed, quick=quick)
    write_result("cost", figures, seeds=[seed], quick=quick, extra=extra)


if __name__ == "__main__":
    main()
