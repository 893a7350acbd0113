"""What goes on while a list is made, told to whoever listens; where nobody does, nothing is measured."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """Is told what happens in the thread that listens."""

    def stage(self, name: str, seconds: float) -> None:
        """A stage has ended just now, and took so long."""

    def candidates(self, counts: Mapping[str, int]) -> None:
        """So many candidates each source proposed, to all users asked for at once."""

    def spread(self, bits: float) -> None:
        """A list is shown whose categories have this entropy, bits."""


_LISTENERS: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())


@contextmanager
def listening(*listeners: Listener) -> Iterator[None]:
    """Tell listeners what happens in this thread while the block runs."""
    before = _LISTENERS.set(listeners)
    try:
        yield
    finally:
        _LISTENERS.reset(before)


def listened() -> bool:
    """Whether anybody listens: for what costs something to find out."""
    return bool(_LISTENERS.get())


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Measure a block; one that fails is told as well."""
    listeners = _LISTENERS.get()
    if not listeners:
        yield
        return
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - started
        for one in listeners:
            one.stage(name, seconds)


def tell_candidates(counts: Mapping[str, int]) -> None:
    """Tell of candidates, by source."""
    for one in _LISTENERS.get():
        one.candidates(counts)


def tell_spread(bits: float) -> None:
    """Tell of the entropy of a list's categories."""
    for one in _LISTENERS.get():
        one.spread(bits)
