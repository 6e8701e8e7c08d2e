"""What goes to a registry and what comes back: one request, one answer, and how the line between them can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ledger.errors import SourceUnreadableError


class BrokenOffError(SourceUnreadableError):
    """The registry could not be reached, or hung up; the next try may fare better."""


class OverdueError(BrokenOffError):
    """An answer was not there in the time that it may take."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask: `target` is path and query below the registry's address, `accept` what is taken as an answer.

    `limit` is how many bytes an answer may have, `signed` makes further headers for each try. `repeatable` says that
    asking twice does no more than asking once.
    """

    target: str
    limit: int
    accept: str = "application/json"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    signed: Callable[[], Mapping[str, str]] | None = None
    body: bytes | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def kind(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()
