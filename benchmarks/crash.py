"""``kill -9`` at random moments, on SQLite and on PostgreSQL: is anything lost that was acknowledged, is anything torn?

A cycle starts the service (two workers on PostgreSQL), checks what the cycle before left behind, and kills it while two
writers send events, a third puts and deletes items, a fourth switches releases, and, every tenth cycle, a refresh runs
beside it. ``lost`` counts what was acknowledged and is not there: events, items, and releases that were made live;
answers of a torn release count as well. The shop is that of the tests, so that a cycle takes seconds.

python -m benchmarks.crash [--quick] [--sqlite CYCLES] [--postgres CYCLES]
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import RESULTS, ROOT, Figure, commit, parse_arguments, write_result
from kuapin.data.sql.database import open_database
from kuapin.data.sql.events import EventStore
from kuapin.data.sql.items import ItemStore
from kuapin.errors import KuapinError
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.workspace import Shop
from tests import databases, refreshed, served
from tests.listening import Process

QUICK, SQLITE, POSTGRES = 5, 300, 100
OPTIONS = {
    "--sqlite": {"type": int, "metavar": "CYCLES", "help": f"by default {SQLITE}; 0: keep the figures of the last run"},
    "--postgres": {"type": int, "metavar": "CYCLES", "help": f"by default {POSTGRES}; 0 likewise"},
}
REFRESHED_EVERY = 10
LONGEST_S = 1.2
"""From the first acknowledged event to the kill, at most; more with several workers, which are slower to switch."""
REFRESH_S = 16.0
"""A refresh takes some twelve seconds: to read, compare, train and publish."""


@dataclass
class Seen:
    """What was acknowledged, and what became of it.

    Attributes:
        events: ids of events.
        items: item → whether it was put (``True``) or deleted, as the last acknowledgement has it; ``None``: one is
            under way whose end nobody heard of.
        live: the release that was made live last; ``None``: a switch is under way.
        counts: of what happened.
        lost: what is missing, in words.
    """

    events: set[str] = field(default_factory=set)
    items: dict[str, bool | None] = field(default_factory=dict)
    live: str | None = None
    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)


def cycle(shop: Shop, number: int, seen: Seen, rng: random.Random, *arguments: str) -> None:
    """Start, check, work, kill."""
    started = time.perf_counter()
    process = Process(shop, *arguments)
    seen.counts["start_ms"] += int(1000 * (time.perf_counter() - started))
    check(process, shop, seen)
    refresh = None
    if number % REFRESHED_EVERY == 4:
        refresh = subprocess.Popen(
            [sys.executable, "-c", refreshed.PROGRAM, str(shop.path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )
    stop, before = threading.Event(), len(seen.events)
    works = [events(process, number, name, seen) for name in "ab"]
    works += [items(process, number, seen), *([switches(process, seen)] if refresh is None else [])]
    threads = [threading.Thread(target=_repeat, args=(work, stop)) for work in works]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    # A switch loads a release: the first cycle waits for one, so that a busy machine sees one at all
    while (len(seen.events) == before or not (number or seen.counts["switches"])) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(rng.uniform(0.0, LONGEST_S * (1 + len(arguments))))
    if refresh is not None:
        time.sleep(rng.uniform(1.0, REFRESH_S))
        seen.live = None  # who was last is not known
        seen.counts["refreshes"] += 1
        seen.counts["refreshes_ended"] += refresh.poll() is not None
        if refresh.poll() is None:
            os.killpg(refresh.pid, signal.SIGKILL)
        refresh.wait()
    process.kill()
    stop.set()
    for thread in threads:
        thread.join()
    seen.counts["cycles"] += 1


def events(process: Process, number: int, name: str, seen: Seen) -> Callable[[int], None]:
    """Write three events at a time."""

    def work(k: int) -> None:
        batch = [{"event_id": f"{number}-{name}-{k}-{j}", "user_id": f"u{j}", "item_id": "i"} for j in range(3)]
        if process.ask("POST", "/v1/interactions", {"interactions": batch}) is not None:
            seen.events.update(row["event_id"] for row in batch)

    return work


def items(process: Process, number: int, seen: Seen) -> Callable[[int], None]:
    """Delete items, and put them back."""
    names = [f"G-{theme}-{kind}-small" for theme in ("rose", "oak", "sea") for kind in ("pot", "hose")]

    def work(k: int) -> None:
        name, puts = names[(number + k) % len(names)], k % 2 == 1
        seen.items[name] = None
        body = {"title": name, "available": True} if puts else None
        # a release without an encoder takes no new item (409): it is kept all the same
        status, _ = process.send("PUT" if puts else "DELETE", f"/v1/items/{name}", body)
        if status in (200, 409):
            seen.items[name] = puts
            seen.counts["items"] += 1

    return work


def switches(process: Process, seen: Seen) -> Callable[[int], None]:
    """Make one release live, then another."""
    listed = process.ask("GET", "/v1/models") or {"releases": []}
    versions = [one["version"] for one in listed["releases"][:2]]

    def work(k: int) -> None:
        version = versions[k % len(versions)]
        seen.live = None
        if process.ask("POST", f"/v1/models/{version}/activate") is not None:
            seen.live = version
            seen.counts["switches"] += 1

    return work


def _repeat(work: Callable[[int], None], stop: threading.Event) -> None:
    for number in range(1_000_000):
        if stop.is_set():
            return
        work(number)


def check(process: Process, shop: Shop, seen: Seen) -> None:
    """What the last cycle acknowledged is there, on the disk and in what is answered."""
    database = open_database(shop.service_database())
    try:
        kept = EventStore(database).table(["event_id"])["event_id"]
        gone = seen.events - set(kept)
        seen.lost += [f"event {one}" for one in sorted(gone)]
        seen.lost += [f"event twice ({kept.len() - kept.n_unique()})"] if kept.len() != kept.n_unique() else []
        known = {one.item_id: not one.deleted for one in ItemStore(database).since(0)}
    finally:
        database.close()
    seen.lost += [f"item {name}" for name, put in seen.items.items() if put is not None and known.get(name) != put]
    every = Releases(shop.models)
    live = every.live()
    try:
        every.open_live()
        Model.load(shop)
    except KuapinError as error:
        seen.lost.append(f"release {live}: {error}")
    if seen.live is not None and live != seen.live:
        seen.lost.append(f"switch to {seen.live}")
    status, text = process.send("GET", "/v1/recommendations?user_id=user%20003&n=90")
    answer = json.loads(text) if status == 200 else {}
    if answer.get("release") != live or len(answer.get("recommendations", ())) < 40:
        seen.lost.append(f"answer with {status}")
    hidden = {name for name, put in known.items() if not put}
    seen.lost += [f"{row['target_id']} is shown" for row in answer["recommendations"] if row["target_id"] in hidden]


@contextmanager
def database(kind: str, folder: Path) -> Iterator[None]:
    """The store of the services that are started in the block: SQLite in the shop, or a PostgreSQL server."""
    if kind == "sqlite":
        yield
        return
    with databases.postgres_server(folder / "postgres") as server:
        os.environ["KUAPIN_DATABASE"] = server.url
        try:
            yield
        finally:
            del os.environ["KUAPIN_DATABASE"]


def survive(kind: str, cycles: int, folder: Path, seed: int = 7) -> Seen:
    """Some cycles on one kind of store.

    Args:
        kind: sqlite or postgres.
        cycles: how many.
        folder: empty.
        seed: of the moments.
    """
    rng, seen = random.Random(seed), Seen()
    with database(kind, folder):
        shop = served.shop(folder)
        served.publish(shop, candidates=21, activate=False)
        workers = ("--workers", "2") if kind == "postgres" else ()
        with suppress(KeyboardInterrupt):  # what was done so far is told
            for number in range(cycles):
                cycle(shop, number, seen, rng, *workers)
                if number % 10 == 9:
                    print(f"{kind}: {number + 1} of {cycles} cycles, lost {len(seen.lost)}", flush=True)
        last = Process(shop, *workers)
        check(last, shop, seen)
        seen.counts["events"] = len(seen.events)
        last.kill()
    return seen


def figures_of(kind: str, seen: Seen) -> dict[str, Figure]:
    """What is written of one kind of store."""
    counts = seen.counts
    return {
        f"{kind}.cycles": Figure(counts["cycles"]),
        f"{kind}.lost": Figure(len(seen.lost)),
        f"{kind}.events": Figure(counts["events"], unit="acknowledged"),
        f"{kind}.items": Figure(counts["items"], unit="acknowledged"),
        f"{kind}.switches": Figure(counts["switches"], unit="acknowledged"),
        f"{kind}.refreshes": Figure(counts["refreshes"]),
        f"{kind}.refreshes_killed": Figure(counts["refreshes"] - counts["refreshes_ended"]),
        f"{kind}.start_s": Figure(counts["start_ms"] / 1000 / max(counts["cycles"], 1), unit="s"),
    }


def main() -> None:
    """Measure, print, write ``results/crash.json``."""
    arguments = parse_arguments(__doc__, options=OPTIONS)
    seed = (arguments.seeds or (7,))[0]
    path = (RESULTS / "quick" if arguments.quick else RESULTS) / "crash.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"figures": {}, "runs": {}}
    figures, runs = {}, {}
    for kind, full in (("sqlite", SQLITE), ("postgres", POSTGRES)):
        asked = getattr(arguments.extra, kind)
        cycles = asked if asked is not None else QUICK if arguments.quick else full
        if cycles == 0:  # told as it was
            figures |= {k: Figure(**one) for k, one in before["figures"].items() if k.startswith(f"{kind}.")}
            runs |= {kind: before["runs"].get(kind)}
            continue
        with tempfile.TemporaryDirectory() as scratch:
            seen = survive(kind, cycles, Path(scratch), seed)
        figures |= figures_of(kind, seen)
        runs[kind] = {"commit": commit(), "lost": seen.lost[:50]}
    write_result("crash", figures, seeds=[seed], quick=arguments.quick, extra={"runs": runs})


if __name__ == "__main__":
    main()
