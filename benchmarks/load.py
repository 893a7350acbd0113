"""An open-loop load: requests leave at their time, whether or not those before them have come back.

A closed loop waits for a slow answer and so asks less just when it is slow; here a late answer counts from the moment
at which its request was due (no coordinated omission). One process of its own, one thread, plain sockets: the
generator takes a small share of the machine that it measures.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from urllib.parse import quote

import numpy as np

EVENT_SHARE = 0.1


@dataclass
class Load:
    """What is sent.

    Attributes:
        port: on this machine.
        rate: requests a second.
        seconds: how long.
        users: ids, drawn evenly.
        items: ids of the events.
        n: length of the lists.
        key: of the service; ``None``: it needs none.
        seed: of all draws.
    """

    port: int
    rate: float
    seconds: float
    users: list[str]
    items: list[str]
    n: int = 10
    key: str | None = None
    seed: int = 0


@dataclass
class Seen:
    """What came back.

    Attributes:
        latency_ms: of lists that came, from the moment at which they were due.
        statuses: status of the lists → how many; 0: no answer.
        event_ms: of the events before some of them.
        releases: that answered.
        late_ms: how late the generator itself was, at the worst.
    """

    latency_ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    event_ms: list[float] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    late_ms: float = 0.0
    retry_after: int = 0
    cpu_s: float = 0.0


class Client:
    """Connections that are kept and used again."""

    def __init__(self, port: int, key: str | None) -> None:
        self.port = port
        self.head = f"Host: localhost\r\nAccept: */*\r\n{f'X-API-Key: {key}' + chr(13) + chr(10) if key else ''}"
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes, bytes]:
        """Status, head and body of the answer; status 0 where the connection broke."""
        extra = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        message = f"{method} {path} HTTP/1.1\r\n{self.head}{extra}\r\n".encode() + body
        try:
            pair = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
            pair[1].write(message)
            head = await pair[0].readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            content = await pair[0].readexactly(length)
        except (OSError, asyncio.IncompleteReadError, IndexError):
            return 0, b"", b""
        if b"connection: close" in head.lower():
            pair[1].close()
        else:
            self.idle.append(pair)
        return int(head[9:12]), head, content


async def drive(load: Load) -> Seen:
    """Send a load."""
    rng = np.random.default_rng(load.seed)
    count = int(load.rate * load.seconds)
    due = np.cumsum(rng.exponential(1 / load.rate, count))
    users = rng.integers(0, len(load.users), count)
    items = rng.integers(0, len(load.items), count)
    first = rng.random(count) < EVENT_SHARE
    client, seen = Client(load.port, load.key), Seen()
    releases: set[str] = set()
    start = time.perf_counter() + 0.2

    async def one(number: int) -> None:
        user, begun = load.users[users[number]], start + due[number]
        if first[number]:
            event = {"user_id": user, "item_id": load.items[items[number]], "event": "view"}
            status, _, _ = await client.send("POST", "/v1/interactions", json.dumps({"interactions": [event]}).encode())
            now = time.perf_counter()
            if status == 200:
                seen.event_ms.append((now - begun) * 1000)
            begun = now
        path = f"/v1/users/{quote(user, safe='')}/recommendations?n={load.n}"
        status, head, body = await client.send("GET", path)
        seen.statuses[status] = seen.statuses.get(status, 0) + 1
        if status == 200:
            seen.latency_ms.append((time.perf_counter() - begun) * 1000)
            releases.add(json.loads(body)["release"])
        elif status == 503 and b"retry-after" in head.lower():
            seen.retry_after += 1

    tasks = []
    for number in range(count):
        wait = start + due[number] - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        else:
            seen.late_ms = max(seen.late_ms, -wait * 1000)
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    seen.releases, seen.cpu_s = sorted(releases), time.process_time()
    return seen


def main() -> None:
    """Read a load as JSON from standard input, write what was seen to standard output."""
    seen = asyncio.run(drive(Load(**json.load(sys.stdin))))
    json.dump(asdict(seen), sys.stdout)
