"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with what it counts: `1 promise`, `2 promises`; `many` where an s is not enough."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
