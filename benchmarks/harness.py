"""What every benchmark shares: its arguments, where the data lie, and the JSON file that it leaves behind.

A benchmark is a module with a ``main``::

    arguments = parse_arguments(__doc__)
    figures = {"exact.p50_ms": Figure(6.9, 6.5, 7.4, "ms")}
    write_result("index", figures, seeds=[0], quick=arguments.quick)
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import psutil
from numpy.typing import ArrayLike
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LOAD_AT_START = os.getloadavg()[0]
"""Processes that wanted a core in the minute before: times taken on a busy machine flatter whoever waits less."""
RELEVANT_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimd", "i8mm")


@dataclass(frozen=True)
class Figure:
    """One measured number; ``low`` and ``high`` are the ends of its 95 % interval, ``None`` where there is none."""

    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Arguments:
    """What the command line said.

    Attributes:
        quick: a first look in minutes; results go to ``results/quick``.
        folder: one folder with ``items.parquet`` (and ``interactions.parquet``); ``None``: the benchmark's own set.
        seeds: seeds to pool over; ``None``: the benchmark's own.
    """

    quick: bool
    folder: Path | None
    seeds: tuple[int, ...] | None
    extra: argparse.Namespace


def parse_arguments(
    description: str | None,
    arguments: Sequence[str] | None = None,
    *,
    options: Mapping[str, dict[str, Any]] | None = None,
) -> Arguments:
    """The arguments that all benchmarks take.

    Args:
        description: shown by ``--help``; the module's docstring.
        arguments: instead of ``sys.argv[1:]``.
        options: further options: name (``"--users"``) → keyword arguments of ``ArgumentParser.add_argument``; they are
            found in ``Arguments.extra``.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a first look, at most 3 minutes")
    parser.add_argument("--set", dest="folder", type=Path, metavar="FOLDER", help="data folder with items.parquet")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="seeds to pool over")
    for name, keywords in (options or {}).items():
        parser.add_argument(name, **keywords)
    parsed = parser.parse_args(arguments)
    if parsed.folder is not None and not (parsed.folder / "items.parquet").is_file():
        parser.error(f"--set {parsed.folder}: there is no items.parquet in this folder")
    seeds = tuple(parsed.seeds) if parsed.seeds else None
    return Arguments(parsed.quick, parsed.folder, seeds, parsed)


def data_folder() -> Path:
    """Where the development data lie: ``$KUAPIN_DATA``, by default ``../shared/data`` beside the repository."""
    return Path(os.environ.get("KUAPIN_DATA", ROOT.parent / "shared" / "data"))


def data_set(name: str) -> Path:
    """The folder of one development set; ends the program with one line where it is absent."""
    folder = data_folder() / name
    if not folder.is_dir():
        sys.exit(f"There is no data set {folder}. Set KUAPIN_DATA to the data folder, or name one with --set FOLDER.")
    return folder


def interval(values: ArrayLike, unit: str = "", level: float = 0.95) -> Figure:
    """The median of repeated measurements with the percentile interval of a bootstrap of the median."""
    sample = np.asarray(values, dtype=float)
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(sample, size=(2000, len(sample))), axis=1)
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return Figure(float(np.median(sample)), float(low), float(high), unit)


def write_result(
    name: str,
    figures: Mapping[str, Figure],
    *,
    seeds: Sequence[int],
    quick: bool,
    extra: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> Path:
    """Print the figures and write ``benchmarks/results/NAME.json`` (``results/quick/`` with ``quick``).

    Args:
        name: of the file, without its ending.
        figures: dotted name → figure.
        seeds: used by the run.
        quick: whether this was a first look.
        extra: anything else worth keeping beside the figures (settings, tables); JSON types only.
        title: of the printed table; by default the name.
    """
    print_figures(title or name, figures)
    folder = RESULTS / "quick" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "command": command_line(),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "load_at_start": round(LOAD_AT_START, 2),
        "seeds": list(seeds),
        "figures": {key: asdict(figure) for key, figure in figures.items()},
        **(extra or {}),
    }
    path = folder / f"{name}.json"
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
    Console().print(f"Written to {path.relative_to(ROOT)}")
    if LOAD_AT_START / hardware()["cores"] > 0.5:
        Console().print(f"The machine was busy when this began (load {LOAD_AT_START:.1f}): do not quote its times.")
    return path


def print_figures(title: str, figures: Mapping[str, Figure]) -> None:
    """One row a figure."""
    rows = [[key, _number(f.value), _number(f.low), _number(f.high), f.unit] for key, f in figures.items()]
    print_table(title, ["figure", "value", "low", "high", "unit"], rows)


def print_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on the terminal; the first column is text, the others are aligned right."""
    table = Table(title=title, title_justify="left")
    for column, header in enumerate(headers):
        table.add_column(header, justify="left" if column == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(_number(cell) if isinstance(cell, float) else str(cell) for cell in row))
    Console().print(table)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"


def command_line() -> str:
    """The command that runs this program again; where a folder lies on this machine is left out."""
    name = getattr(sys.modules["__main__"].__spec__, "name", None)
    program = ["python", "-m", name] if name else ["python", sys.argv[0]]
    return shlex.join([*program, *("FOLDER" if Path(one).is_absolute() else one for one in sys.argv[1:])])


@cache
def commit() -> str:
    """The commit of the tree when first asked, ending in ``+`` where source files differ; ``unknown`` outside git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", "src", "benchmarks/*.py") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def hardware() -> dict[str, Any]:
    """Processor, cores, the instructions that matter here, memory, system."""
    described = {}
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0].splitlines()
        described = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = described.get("flags", described.get("Features", "")).split()
    return {
        "processor": described.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in RELEVANT_FLAGS if flag in flags],
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def resident_mb(process: psutil.Process | None = None) -> float:
    """Resident memory of a process and its children, MB (10⁶ bytes); this process by default."""
    process = process or psutil.Process()
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.Error:  # it ended between the listing and the reading
            continue
    return total / 1e6


@dataclass
class Peak:
    """The largest resident memory seen so far, MB, and the seconds since the start."""

    mb: float = 0.0
    seconds: float = 0.0


@contextmanager
def measured(every: float = 0.05) -> Iterator[Peak]:
    """Watch this process and its children during a ``with`` block; ``mb`` and ``seconds`` are final at its end."""
    peak, done, started = Peak(resident_mb()), Event(), time.perf_counter()

    def watch() -> None:
        while not done.wait(every):
            peak.mb = max(peak.mb, resident_mb())

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.mb = max(peak.mb, resident_mb())
        peak.seconds = time.perf_counter() - started


def run_fresh(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Peak:
    """Run Python code in a new process and measure it from its start to its end.

    Args:
        code: as for ``python -c``; ``sys.argv[1:]`` holds ``arguments``.
        arguments: strings.
        environment: variables added to this process's.

    Raises:
        RuntimeError: the process failed; the message ends with what it wrote.
    """
    peak, started = Peak(), time.perf_counter()
    process = psutil.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    while process.poll() is None:
        try:
            peak.mb = max(peak.mb, resident_mb(process))
        except psutil.Error:
            break
        time.sleep(0.01)
    _, written = process.communicate()
    peak.seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise RuntimeError(
            f"The measured process ended with {process.returncode}: {written.decode(errors='replace')[-2000:]}"
        )
    return peak
