"""Work on many users at once: one thread a core."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

T = TypeVar("T")
R = TypeVar("R")

MAX_THREADS = 8
LEAST_USERS = 32
"""Fewer users than this a thread are not worth a thread."""
MOST_USERS = 256
"""More users than this are never worked on at a time: it bounds the memory of dense blocks."""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


_OWN = threading.local()


@contextmanager
def in_this_thread() -> Iterator[None]:
    """Within the block nothing that this thread does is shared out: where requests run side by side that only costs."""
    before = getattr(_OWN, "alone", False)
    _OWN.alone = True
    try:
        yield
    finally:
        _OWN.alone = before


def in_threads(work: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    """Call ``work`` for every part, in threads; results in the order of the parts.

    NumPy's matrix products take one thread each inside. ``work`` must spend its time where the interpreter lock is
    released (NumPy, SciPy) to gain from it.
    """
    threads = min(cores(), MAX_THREADS, len(parts))
    if threads < 2 or getattr(_OWN, "alone", False):
        return [work(part) for part in parts]
    with _pools().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))


def over_users(work: Callable[[int, int], R], n_users: int) -> list[R]:
    """Call ``work(first, stop)`` for runs that cover 0 … n_users - 1, in threads; results in the order of the runs."""
    if n_users == 1:
        return [work(0, 1)]
    # Several runs a thread: users differ in length, and the first to finish takes the next run.
    least = 4 * cores() if n_users >= 2 * LEAST_USERS else 1
    edges = np.linspace(0, n_users, max(-(-n_users // MOST_USERS), least) + 1).astype(int).tolist()
    return in_threads(lambda run: work(*run), list(pairwise(edges)))
