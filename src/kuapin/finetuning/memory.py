"""No memory left: one line with what to lower, wherever it happens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kuapin.errors import KuapinError

LOWER = "Lower training.batch_size (and raise training.accumulation), or max_length."
_SAID = ("not enough memory", "out of memory", "can't allocate memory", "bad_alloc")


@contextmanager
def enough_memory(doing: Callable[[], str], advice: str = LOWER) -> Iterator[None]:
    """A block in which what memory says becomes one line.

    Args:
        doing: what was being done, as in ``at step 5``; asked when memory has run out.
        advice: what to do about it.

    Raises:
        KuapinError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _SAID):
            raise KuapinError(
                f"Out of memory {doing()}. {advice} What is live, and the last checkpoint, are untouched."
            ) from error
        raise
