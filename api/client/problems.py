"""What a registry refuses, as the very errors that `pith` and the library raise themselves.

A problem (RFC 9457) of the type `urn:pith:error:CODE` becomes the class of that code in `ledger.errors`; codes that
only HTTP knows become a `RemoteError` that carries them. That a check failed is never taken from a registry: only who
made the check can say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from ledger.errors import AmbiguousError, LedgerError, VerificationError

PROBLEM_TYPE: Final = "application/problem+json"
MAX_TEXT: Final = 2_000
"""How many characters of what a registry says are handed on."""

MAX_CHOICES: Final = 1_000
FOR_NOW: Final = (429, 500, 502, 503, 504)
"""Statuses of what may be granted a moment later."""

_TYPE: Final = re.compile(r"urn:pith:error:([a-z][a-z0-9-]{0,79})")


class RemoteError(LedgerError):
    """A registry refuses a request for a reason of its own; `status` is that of HTTP.

    `code` is the registry's where it gives one, such as `too-many-requests`.
    """

    code = "remote"

    def __init__(self, status: int, message: str, *, code: str = "", place: str = "", cure: str | None = None) -> None:
        super().__init__(message, place=place, cure=cure)
        self.status = status
        if code:
            self.code = code  # type: ignore[misc]  # every registry may have codes of its own


class Problem(msgspec.Struct, frozen=True):
    """Problem details as they came; members that are not known here are passed over."""

    type: str = "about:blank"
    status: int = 0
    detail: str = ""
    place: str = ""
    cure: str = ""
    choices: list[str] = []


def _classes(kind: type[LedgerError]) -> Iterator[tuple[str, type[LedgerError]]]:
    # Classes of other modules may be loaded too, and take arguments that a problem does not hold.
    if kind.__module__ == LedgerError.__module__:
        yield kind.code, kind
    for child in kind.__subclasses__():
        yield from _classes(child)


_ALL: Final = dict(_classes(LedgerError))
_OURS: Final = {code for code, kind in _ALL.items() if issubclass(kind, VerificationError)}
CODES: Final[Mapping[str, type[LedgerError]]] = {code: kind for code, kind in _ALL.items() if code not in _OURS}
"""From codes to the classes of `ledger.errors`, but for those that say that a check failed."""


def error_of(status: int, content_type: str, body: bytes, place: str) -> LedgerError:
    """Return the error that an answer is.

    Args:
        place: the address that was asked; it is named where the answer says nothing itself.
    """
    if content_type.partition(";")[0].strip().lower() == PROBLEM_TYPE:
        try:
            return error_of_problem(msgspec.json.decode(body, type=Problem), status)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return RemoteError(
        status, f"the registry answers with status {status}{_phrase(status)}", place=place, cure="check the address"
    )


def error_of_problem(problem: Problem, status: int) -> LedgerError:
    """Return the error that a problem tells of; `status` stands where it names none."""
    named = _TYPE.fullmatch(problem.type)
    code = named[1] if named and named[1] not in _OURS else ""
    status = problem.status or status
    message = problem.detail[:MAX_TEXT] or f"the registry answers with status {status}{_phrase(status)}"
    place, cure = problem.place[:MAX_TEXT], problem.cure[:MAX_TEXT]
    kind = CODES.get(code)
    if kind is None:
        return RemoteError(status, message, code=code, place=place, cure=cure)
    if issubclass(kind, AmbiguousError):
        choices = [choice[:MAX_TEXT] for choice in problem.choices[:MAX_CHOICES]]
        return kind(message, choices, place=place, cure=cure)
    return kind(message, place=place, cure=cure)


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
