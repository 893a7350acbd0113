"""Numbers in words: with their noun, in the singular where there is one, and as shares."""


def counted(n: int, one: str, many: str | None = None) -> str:
    """``1 fault``, ``1,234 faults``; ``many`` where the plural is not ``one`` with an s."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def share(value: float) -> str:
    """``6.1%``; ``<0.1%`` of what is there, but less."""
    return "<0.1%" if 0 < value < 0.0005 else f"{value:.1%}"
