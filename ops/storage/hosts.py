"""Asking one host for several things in turn: one that does not answer at all is not asked for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")


@dataclass(slots=True)
class InTurn(Generic[Thing, Result]):
    """Wraps how a host is asked; once nobody answered, that is the answer to everything else."""

    ask: Callable[[Thing], Result]
    is_silence: Callable[[Result], bool]
    _silence: list[Result] = field(default_factory=list)

    def __call__(self, thing: Thing) -> Result:
        if self._silence:
            return self._silence[0]
        result = self.ask(thing)
        if self.is_silence(result):
            self._silence.append(result)
        return result


def host_group(url: str) -> str:
    """Return the host of an address with its port, in lower case; for grouping only, nothing is checked."""
    return url.partition("://")[2].partition("/")[0].lower()
