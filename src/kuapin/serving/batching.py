"""Requests that wait are worked on together: a list of sixteen users costs a fraction of sixteen lists of one."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, TypeVar

from kuapin.serving.failures import DeadlineError, OverloadedError

Q = TypeVar("Q")
A = TypeVar("A")
SMOOTHING = 0.1
"""Weight of the latest batch in the mean cost of one request."""
FIRST_COST_S = 0.005


@dataclass
class _Waiting(Generic[Q, A]):
    question: Q
    since: float
    deadline: float
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[A]" = field(repr=False)


class Batcher(Generic[Q, A]):
    """One thread takes whatever waits, at most ``most`` at a time, and calls ``work`` with it.

    Args:
        work: questions → answers in their order; an exception in place of an answer is raised to who asked.
        most: questions worked on together.
        queue_s: who would wait longer, as far as can be foreseen, is refused.
        started: told how many questions a batch has.
        waited: told the seconds that each of them waited.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Q]], Sequence[A | Exception]],
        most: int,
        queue_s: float,
        started: Callable[[int], None] = lambda _: None,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._work, self._most, self._queue_s, self._started = work, most, queue_s, started
        self._waited = waited
        self._queue: SimpleQueue[_Waiting[Q, A] | None] = SimpleQueue()
        self._cost = FIRST_COST_S
        self._open = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Questions that are not answered yet."""
        return self._open

    async def ask(self, question: Q, timeout_s: float) -> A:
        """The answer to one question.

        Raises:
            OverloadedError: too many wait; nothing was begun.
            DeadlineError: time is up; what had not begun is not begun.
        """
        ahead = self._open * self._cost
        if ahead > self._queue_s:
            raise OverloadedError(ahead)
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        one: _Waiting[Q, A] = _Waiting(question, now, now + timeout_s, loop, loop.create_future())
        with self._lock:
            self._open += 1
        self._queue.put(one)
        try:
            async with asyncio.timeout(timeout_s):
                return await one.future
        except TimeoutError as error:
            raise DeadlineError(timeout_s) from error

    def close(self) -> None:
        """Answer what waits, then stop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            batch = [self._queue.get()]
            while batch[-1] is not None and len(batch) < self._most and not self._queue.empty():
                batch.append(self._queue.get())
            going = batch[-1] is not None
            self._answer([one for one in batch if one is not None])

    def _answer(self, batch: list[_Waiting[Q, A]]) -> None:
        start = time.monotonic()
        late = [one for one in batch if one.deadline < start or one.future.cancelled()]
        batch = [one for one in batch if one not in late]
        answers: Sequence[A | Exception] = []
        if batch:
            self._started(len(batch))
            for one in batch:
                self._waited(start - one.since)
            try:
                answers = self._work([one.question for one in batch])
            except Exception as error:
                answers = [error] * len(batch)
            self._cost += SMOOTHING * ((time.monotonic() - start) / len(batch) - self._cost)
        with self._lock:
            self._open -= len(batch) + len(late)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[A], A | Exception]]] = {}
        for one, answer in zip(batch, answers, strict=True):
            by_loop.setdefault(one.loop, []).append((one.future, answer))
        for loop, told in by_loop.items():
            loop.call_soon_threadsafe(_tell, told)


def _tell(told: "list[tuple[asyncio.Future[A], A | Exception]]") -> None:
    for future, answer in told:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
