"""Content negotiation (RFC 9110, 12.5.1): which of the media types on offer an `Accept` header prefers."""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from litestar import Request

from api.problems import RefusedError

MAX_REMEMBERED: Final = 512
"""Longer headers are read anew each time, so that nobody fills the memory with them."""

_ELEMENT: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"?')
_RANGE: Final = re.compile(r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;|$)")
_WEIGHT: Final = re.compile(r";[ \t]*q[ \t]*=[ \t]*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|$)", re.IGNORECASE)
_HAS_WEIGHT: Final = re.compile(r";[ \t]*q[ \t]*=", re.IGNORECASE)


class NotAcceptableError(RefusedError):
    """An address has nothing that the asker takes."""

    code = "not-acceptable"
    status = HTTPStatus.NOT_ACCEPTABLE


def asked_for(request: Request[Any, Any, Any], offers: tuple[str, ...]) -> str:
    """Return the offer that a request prefers; its answer varies with `Accept`.

    Raises:
        NotAcceptableError: it takes none of them.
    """
    found = [value for name, value in request.scope["headers"] if name == b"accept"]
    accept = found[0] if len(found) == 1 else b", ".join(found)
    chosen = preferred(accept.decode("latin-1"), offers)
    if chosen is None:
        error = NotAcceptableError("none of what is offered here is accepted", cure=f"accept {', '.join(offers)}")
        error.headers = {"vary": "accept"}
        raise error
    return chosen


def preferred(accept: str, offers: tuple[str, ...]) -> str | None:
    """Return the offer that a header prefers; None where it takes none of them.

    The greatest weight wins; among equal ones what is named most exactly, so that `application/json, */*` asks for
    JSON; among those the earlier offer. Parameters other than `q` are passed over, as are elements that are no media
    range; a header without any is as good as none, and takes everything.

    Args:
        accept: the header's value; several headers joined by commas.
        offers: media types without parameters, in lower case, the best first.
    """
    return _remembered(accept, offers) if len(accept) <= MAX_REMEMBERED else _preferred(accept, offers)


def _preferred(accept: str, offers: tuple[str, ...]) -> str | None:
    ranges = [found for element in _ELEMENT.findall(accept) if (found := _read(element))]
    if not ranges:
        return offers[0]
    best, best_rank = None, (0.0, 0)
    for offer in offers:
        # Of the ranges that an offer is in, the most exact one states its weight.
        exactness, weight = max(((_exactness(range, offer), weight) for range, weight in ranges), default=(0, 0.0))
        if exactness and weight > 0 and (weight, exactness) > best_rank:
            best, best_rank = offer, (weight, exactness)
    return best


_remembered: Final = lru_cache(maxsize=256)(_preferred)


def _read(element: str) -> tuple[str, float] | None:
    element = _QUOTED.sub("", element)
    found = _RANGE.match(element)
    if found is None:
        return None
    weight = _WEIGHT.search(element)
    if weight is None:
        return None if _HAS_WEIGHT.search(element) else (found[1].lower(), 1.0)
    return found[1].lower(), float(weight[1])


def _exactness(range: str, offer: str) -> int:
    if range == offer:
        return 3
    if range == f"{offer.partition('/')[0]}/*":
        return 2
    return 1 if range == "*/*" else 0
