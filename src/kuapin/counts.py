"""A number with its noun, in the singular where there is one."""


def counted(n: int, one: str, many: str | None = None) -> str:
    """``1 fault``, ``1,234 faults``; ``many`` where the plural is not ``one`` with an s."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
