"""The service under 80 % of what it can answer, for two hours: does its memory grow, does it slow down?

Capacity is found first: the highest of the rates tried at which p99 stays within 100 ms and nothing is refused (the
lowest where none holds, as on a busy machine). Then an open-loop load of lists, one in ten preceded by an event, runs
in stretches of a minute at four fifths of it. ``rss_growth`` is resident memory over the last tenth of the time to
that over the first tenth, less one, after five minutes (a tenth of shorter runs) of warming up; ``anonymous_growth``
is the same without the pages of files, of which SQLite maps what the events have become.

python -m benchmarks.soak [--quick] [--minutes M] [--shop FOLDER]
"""

import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil

from benchmarks.batch import make_shop
from benchmarks.harness import Arguments, Figure, parse_arguments, write_result
from benchmarks.load import Load
from benchmarks.service import P99_MS, Server, drive, quantile
from kuapin import columns as c
from kuapin.data.sql.database import open_database
from kuapin.data.sql.keys import Keyring
from kuapin.workspace import Shop
from tests import served

RATES = (25.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 400.0)
SHARE = 0.8
MINUTES, QUICK = 120.0, 1.5
WARMING_MINUTES = 5.0
STRETCH_S = 60.0
SAMPLED_S = 2.0
OPTIONS = {
    "--minutes": {"type": float, "metavar": "M", "help": f"by default {MINUTES:.0f}"},
    "--shop": {"type": Path, "metavar": "FOLDER", "help": "a trained shop, which is copied, instead of making one"},
}


class Memory:
    """Memory of a server, sampled until it is closed: (seconds, resident bytes, anonymous bytes)."""

    def __init__(self, process: psutil.Process) -> None:
        self.samples: list[tuple[float, int, int]] = []
        self._process, self._stop, self._started = process, threading.Event(), time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(SAMPLED_S):
            full = self._process.memory_full_info()
            self.samples.append((time.monotonic() - self._started, full.rss, full.rss - full.shared))

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def growth(self, column: int, warming_s: float) -> float:
        """Mean of the last tenth of what follows the warming up, to that of the first, less one."""
        kept = np.array([row[column] for row in self.samples if row[0] > warming_s], float)
        tenth = max(1, len(kept) // 10)
        return float(kept[-tenth:].mean() / kept[:tenth].mean() - 1)


def capacity(same: dict[str, object], seconds: float) -> float:
    """The highest rate that is answered in time."""
    best = RATES[0]
    for rate in RATES:
        seen = drive(Load(rate=rate, seconds=seconds, seed=int(rate), **same))  # type: ignore[arg-type]
        if set(seen.statuses) != {200} or np.quantile(seen.latency_ms, 0.99) > P99_MS:
            break
        best = rate
    return best


def shop_of(scratch: Path, arguments: Arguments) -> Shop:
    """A copy of the shop named, a made-up one for a first look, or one trained on Complete Journey."""
    if arguments.extra.shop:
        return Shop.open(Path(shutil.copytree(arguments.extra.shop, scratch / "shop")))
    return served.shop(scratch) if arguments.quick else make_shop(scratch, arguments, 0)


def main() -> None:
    """Measure, print, write ``results/soak.json``."""
    arguments = parse_arguments(__doc__, options=OPTIONS)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    minutes = arguments.extra.minutes or (QUICK if arguments.quick else MINUTES)
    warming_s = 60 * min(WARMING_MINUTES, minutes / 10)
    statuses, late = Counter[int](), list[list[float]]()
    with tempfile.TemporaryDirectory() as scratch:
        shop = shop_of(Path(scratch), arguments)
        database = open_database(shop.service_database())
        key = Keyring(database).create("soak", ["recommend", "write", "admin"], rate=1e6)[1]
        database.close()
        server = Server(shop, key)
        users, items = shop.dataset().users.ids.to_list(), shop.dataset().catalogue.items.ids.head(5_000).to_list()
        same = {"port": server.port, "key": key, "users": users, "items": items}
        most = capacity(same, 3.0 if arguments.quick else 10.0)
        memory, started, number = Memory(server.process), time.monotonic(), 0
        try:
            while (left := 60 * minutes - (time.monotonic() - started)) > 1:
                number += 1
                seen = drive(Load(rate=SHARE * most, seconds=min(STRETCH_S, left), seed=1000 + number, **same))
                statuses += Counter(seen.statuses)
                late.append(seen.latency_ms)
                print(f"{number} min, {memory.samples[-1][1] / 1e6:.0f} MB, {dict(statuses)}", flush=True)
        except KeyboardInterrupt:  # what was done so far is told
            pass
        memory.close()
        events = shop.store.events.position() if getattr(shop.store, "events", None) else 0
        server.stop()
    tenth = max(1, len(late) // 10)
    figures = {
        "minutes": Figure(memory.samples[-1][0] / 60, unit="min"),
        "rss_growth": Figure(memory.growth(1, warming_s)),
        "anonymous_growth": Figure(memory.growth(2, warming_s)),
        "rss_mb": Figure(memory.samples[-1][1] / 1e6, unit="MB"),
        "capacity_rps": Figure(most, unit="requests/s"),
        "rate_rps": Figure(SHARE * most, unit="requests/s"),
        "answered": Figure(statuses[200]),
        "refused": Figure(statuses[503]),
        "other_status": Figure(statuses.total() - statuses[200] - statuses[503]),
        "first.p99_ms": quantile(np.concatenate(late[:tenth]), 0.99),
        "last.p99_ms": quantile(np.concatenate(late[-tenth:]), 0.99),
        "events": Figure(events),
    }
    step = max(1, len(memory.samples) // 120)
    course = [[round(t), round(rss / 1e6, 1), round(own / 1e6, 1)] for t, rss, own in memory.samples[::step]]
    extra = {"course": course, "items": len(items), c.USERS: len(users)}
    write_result("soak", figures, seeds=[0], quick=arguments.quick, extra=extra)


if __name__ == "__main__":
    main()
