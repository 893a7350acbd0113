"""What waits is worked on together, and nothing is begun that nobody waits for."""

import asyncio
import threading

import pytest

from kuapin.serving.batching import Batcher
from kuapin.serving.failures import DeadlineError, OverloadedError


class Work:
    """Doubles numbers, once it is let go."""

    def __init__(self):
        self.batches, self.go = [], threading.Event()

    def __call__(self, numbers):
        self.batches.append(list(numbers))
        self.go.wait(10)
        return [ValueError("odd") if number % 2 else 2 * number for number in numbers]


def run(scenario, *, most=4, queue_s=10.0):
    work = Work()
    batcher = Batcher(work, most, queue_s)
    try:
        return asyncio.run(scenario(batcher, work)), work.batches
    finally:
        work.go.set()
        batcher.close()


async def begun(work):
    while not work.batches:
        await asyncio.sleep(0.001)


def test_what_waits_is_taken_together_at_most_so_many():
    async def scenario(batcher, work):
        first = asyncio.create_task(batcher.ask(0, 5))
        await begun(work)
        rest = [asyncio.create_task(batcher.ask(number, 5)) for number in range(2, 14, 2)]
        await asyncio.sleep(0.02)
        work.go.set()
        return await asyncio.gather(first, *rest)

    answers, batches = run(scenario)
    assert answers == [0, 4, 8, 12, 16, 20, 24]
    assert batches == [[0], [2, 4, 6, 8], [10, 12]]


def test_what_is_overdue_is_not_begun():
    async def scenario(batcher, work):
        first = asyncio.create_task(batcher.ask(0, 5))
        await begun(work)
        with pytest.raises(DeadlineError, match="No answer within 30 ms"):
            await batcher.ask(2, 0.03)
        work.go.set()
        await first
        return await batcher.ask(4, 5)

    answer, batches = run(scenario)
    assert answer == 8
    assert batches == [[0], [4]]


def test_an_error_goes_to_whom_it_concerns():
    async def scenario(batcher, work):
        first = asyncio.create_task(batcher.ask(0, 5))
        await begun(work)
        rest = [asyncio.create_task(batcher.ask(number, 5)) for number in (1, 2)]
        await asyncio.sleep(0.02)
        work.go.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)

    (odd, even), _ = run(scenario)
    assert (str(odd), even) == ("odd", 4)


def test_who_would_wait_too_long_is_refused_at_once():
    async def scenario(batcher, work):
        first = asyncio.create_task(batcher.ask(0, 5))
        await begun(work)
        with pytest.raises(OverloadedError, match="Too many requests wait"):
            await batcher.ask(2, 5)
        work.go.set()
        return await first

    assert run(scenario, queue_s=0.0001)[1] == [[0]]


def test_a_failure_of_all_is_told_to_all_and_the_next_is_answered():
    def work(numbers):
        if 0 in numbers:
            raise RuntimeError("broken")
        return list(numbers)

    batcher = Batcher(work, 4, 10.0)

    async def scenario():
        with pytest.raises(RuntimeError, match="broken"):
            await batcher.ask(0, 5)
        return await batcher.ask(3, 5)

    assert asyncio.run(scenario()) == 3
    batcher.close()
