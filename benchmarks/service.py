"""The service on Complete Journey under an open-loop load from another process: uniform users, n = 10, no cached lists.

One request in ten is preceded by an event of its user. As many processes answer as there are cores (``--workers``), on
SQLite; ``one_process.*`` is the same with one, and so is ``start_s``. ``products.*`` is at 100 requests/s. ``max_rps``:
the highest of the rates tried at which 99 of 100 requests are answered within 100 ms, one that is refused being none of
them; ``beyond.*`` is at twice that. Latency counts from the moment at which a request was due. ``cpu_ms`` is what the
server's processes compute for one list: it depends less than the times on who else uses the machine.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.batch import make_shop
from benchmarks.harness import ROOT, Figure, interval, parse_arguments, print_table, write_result
from benchmarks.load import Client, Load, Seen
from kuapin import columns as c
from kuapin.data.sql.database import open_database
from kuapin.data.sql.keys import Keyring
from kuapin.workspace import Shop

SERVE = "from kuapin.cli.entry import main; main()"
DRIVE = "from benchmarks.load import main; main()"
RATE = 100.0
RATES = (50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0, 400.0, 500.0, 600.0)
P99_MS = 100.0
OK = 200
BATCH = 500
ONE = 1
OPTIONS = {
    "--shop": {"type": Path, "metavar": "FOLDER", "help": "a copy of a trained shop, instead of making one"},
    "--workers": {"type": int, "metavar": "N", "default": 2, "help": "processes that answer, by default 2"},
}


class Server:
    """``kuapin serve`` as a process, with a key."""

    def __init__(self, shop: Shop, key: str, workers: int = 1) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        started = time.perf_counter()
        arguments = ["serve", str(shop.path), "--port", str(self.port), "--workers", str(workers), "--quiet"]
        self.process = psutil.Popen([sys.executable, "-c", SERVE, *arguments], cwd=ROOT)
        self.key = key
        while asyncio.run(Client(self.port, key).send("GET", "/v1/recommendations?user_id=1"))[0] != 200:
            if self.process.poll() is not None or time.perf_counter() - started > 180:
                sys.exit("The service did not start.")
            time.sleep(0.02)
        self.start_s = time.perf_counter() - started

    def cpu_s(self) -> float:
        """Processor time of the server so far."""
        times = [one.cpu_times() for one in (self.process, *self.process.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))

    def rss_mb(self) -> float:
        """Resident memory, MB (10⁶ bytes)."""
        return sum(one.memory_info().rss for one in (self.process, *self.process.children(recursive=True))) / 1e6

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


@contextmanager
def serving(shop: Shop, key: str, workers: int = 1) -> Iterator[Server]:
    """A server while the block runs."""
    server = Server(shop, key, workers)
    try:
        yield server
    finally:
        server.stop()


def drive(load: Load) -> Seen:
    """Send a load from another process."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVE],
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    seen = Seen(**json.loads(done.stdout))
    seen.statuses = {int(status): count for status, count in seen.statuses.items()}
    return seen


def quantile(values: Sequence[float], q: float) -> Figure:
    """A quantile of latencies in ms with its bootstrap interval over requests."""
    sample = np.asarray(values)
    rng = np.random.default_rng(0)
    drawn = np.quantile(rng.choice(sample, (500, len(sample))), q, axis=1)
    return Figure(float(np.quantile(sample, q)), *map(float, np.quantile(drawn, (0.025, 0.975))), unit="ms")


def lists(server: Server, shop: Shop, seconds: float, rates: Sequence[float]) -> tuple[dict[str, Figure], list[Any]]:
    """Latency of lists at rising rates."""
    dataset = shop.dataset()
    same = {
        "port": server.port,
        "key": server.key,
        "users": dataset.users.ids.to_list(),
        "items": dataset.catalogue.items.ids.head(5_000).to_list(),
    }
    drive(Load(rate=20.0, seconds=3.0, seed=1, **same))  # warm
    before = server.cpu_s()
    seen = drive(Load(rate=RATE, seconds=2 * seconds, seed=2, **same))
    cpu = (server.cpu_s() - before) / max(sum(seen.statuses.values()), 1)
    figures = {
        "products.p50_ms": quantile(seen.latency_ms, 0.5),
        "products.p99_ms": quantile(seen.latency_ms, 0.99),
        "products.refused": Figure(1 - seen.statuses.get(200, 0) / sum(seen.statuses.values())),
        "event_p50_ms": quantile(seen.event_ms, 0.5),
        "cpu_ms": Figure(cpu * 1000, unit="ms"),
    }
    rows: list[Any] = [_row(RATE, seen)]
    best = 0.0
    for rate in rates:
        seen = drive(Load(rate=rate, seconds=seconds, seed=3, **same))
        rows.append(_row(rate, seen))
        refused = sum(count for status, count in seen.statuses.items() if status != OK)
        good = np.quantile([*seen.latency_ms, *[np.inf] * refused], 0.99, method="higher") <= P99_MS
        if good:
            best = rate
        elif rate > RATE:
            break
    figures["max_rps"] = Figure(best, unit="requests/s")
    beyond = drive(Load(rate=2 * max(best, RATE), seconds=seconds, seed=4, **same))
    rows.append(_row(2 * max(best, RATE), beyond))
    refused = beyond.statuses.get(503, 0)
    figures["beyond.answered_per_s"] = Figure(beyond.statuses.get(200, 0) / seconds, unit="requests/s")
    figures["beyond.other_status"] = Figure(sum(n for status, n in beyond.statuses.items() if status not in (200, 503)))
    figures["beyond.without_retry_after"] = Figure(refused - beyond.retry_after)
    return figures, rows


def _row(rate: float, seen: Seen) -> list[Any]:
    p50, p99 = np.quantile(seen.latency_ms, (0.5, 0.99)) if seen.latency_ms else (np.nan, np.nan)
    refused = sum(count for status, count in seen.statuses.items() if status != 200)
    return [rate, float(p50), float(p99), sum(seen.statuses.values()), refused, seen.late_ms]


async def _events(server: Server, shop: Shop, seconds: float) -> float:
    users = shop.dataset().users.ids.to_list()
    clients = [Client(server.port, server.key) for _ in range(4)]
    sent = 0
    started = time.perf_counter()

    async def send(place: int) -> None:
        nonlocal sent
        number = 0
        while time.perf_counter() - started < seconds:
            batch = [
                {"event_id": f"b-{place}-{number}-{k}", "user_id": users[(number + k) % len(users)], "item_id": "x"}
                for k in range(BATCH)
            ]
            status, _, _ = await clients[place].send(
                "POST", "/v1/interactions", json.dumps({"interactions": batch}).encode()
            )
            sent += BATCH if status == 200 else 0
            number += 1

    await asyncio.gather(*(send(place) for place in range(len(clients))))
    return sent / (time.perf_counter() - started)


async def _upserts(server: Server, count: int) -> list[float]:
    """Seconds from putting an item to its being in a list."""
    client, seconds = Client(server.port, server.key), []
    for number in range(count):
        body = {"title": f"Sparkling birch water {number} l", "category": f"NEW {number} > WATER", "price": 1.5}
        started = time.perf_counter()
        await client.send("PUT", f"/v1/items/new-{number}", json.dumps(body).encode())
        path = f"/v1/users/1/recommendations?category=NEW%20{number}"
        while f'"new-{number}"'.encode() not in (await client.send("GET", path))[2]:
            await asyncio.sleep(0.002)
        seconds.append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Measure, print, write ``results/service.json``."""
    arguments = parse_arguments(__doc__, options=OPTIONS)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    seed = (arguments.seeds or (0,))[0]
    seconds, workers = 5.0 if arguments.quick else 15.0, arguments.extra.workers
    with tempfile.TemporaryDirectory() as scratch:
        shop = Shop.open(arguments.extra.shop) if arguments.extra.shop else make_shop(Path(scratch), arguments, seed)
        database = open_database(shop.service_database())
        key = Keyring(database).create("benchmark", ["recommend", "write", "admin"], rate=1e6)[1]
        database.close()
        starts: dict[int, list[float]] = {ONE: [], workers: []}
        for processes in starts:
            for _ in range(1 if arguments.quick else 3):
                with serving(shop, key, processes) as server:
                    starts[processes].append(server.start_s)
        rates = RATES[::2] if arguments.quick else RATES
        with serving(shop, key, ONE) as server:
            alone, rows_alone = lists(server, shop, seconds, rates)
        with serving(shop, key, workers) as server:
            figures, rows = lists(server, shop, seconds, rates)
            figures["events_per_s"] = Figure(asyncio.run(_events(server, shop, seconds)), unit="events/s")
            upserts = asyncio.run(_upserts(server, 3 if arguments.quick else 10))
            items = shop.store.read(c.ITEMS, [c.ITEM_ID]).height
            figures |= {
                "item_upsert_s": interval(upserts, "s"),
                "item_upsert_s.max": Figure(max(upserts), unit="s"),
                "start_s": interval(starts[ONE], "s"),
                "start_s.all": interval(starts[workers], "s"),
                "rss_mb": Figure(server.rss_mb() / workers, unit="MB"),
                "rss_mb_per_100k_items": Figure(server.rss_mb() / workers / items * 100_000, unit="MB"),
            }
    figures |= {f"one_process.{name}": figure for name, figure in alone.items()}
    heads = ["requests/s", "p50 ms", "p99 ms", "sent", "not answered", "generator late ms"]
    tables = {}
    for name, made in (("rates", rows), ("rates_of_one_process", rows_alone)):
        print_table(name, heads, made)
        tables[name] = [dict(zip(heads, row, strict=True)) for row in made]
    extra = tables | {"items": items, "workers": workers}
    write_result("service", figures, seeds=[seed], quick=arguments.quick, extra=extra)


if __name__ == "__main__":
    main()
