"""Answers that are made once and given many times: headers, tag and all, for GET, HEAD and whoever has it already."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from litestar import Request
from litestar.response.base import ASGIResponse

from api.caching import is_known
from api.problems import SECURITY_HEADERS

JSON: Final = "application/json"
JSON_LD: Final = "application/ld+json"
HTML: Final = "text/html; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"

HOUR: Final = "public, max-age=3600"
"""For what changes with the software, not with the log."""

OVERHEAD: Final = 2_048
"""What an answer takes beside its content, in bytes; roughly."""

_UNCHANGED: Final = HTTPStatus.NOT_MODIFIED


class Answer:
    """A representation with a strong tag from its content; it may be given any number of times, also at once."""

    __slots__ = ("_full", "_head", "_unchanged", "content", "full_headers", "tag", "unchanged_headers")

    def __init__(self, content: bytes, kind: str, lifetime: str, headers: Mapping[str, str] | None = None) -> None:
        """Prepare the answers to GET and HEAD, and 304.

        Args:
            kind: the media type.
            lifetime: the Cache-Control.
            headers: further ones, in lower case; they take the place of the usual ones.
        """
        self.content = content
        tag = f'"{sha256(content).hexdigest()}"'
        self.tag = tag.encode()
        always = {"etag": tag, "cache-control": lifetime, **SECURITY_HEADERS, **(headers or {})}
        described = {**always, "content-type": kind, "content-length": str(len(content))}
        self._full = ASGIResponse(body=content, headers=described)
        self._head = ASGIResponse(headers=described, is_head_response=True)
        self._unchanged = ASGIResponse(headers=always, status_code=_UNCHANGED)
        # As the server takes them, for whoever answers by itself.
        self.full_headers = self._full.encode_headers()
        self.unchanged_headers = self._unchanged.encode_headers()

    @property
    def size(self) -> int:
        """How many bytes of memory it takes; roughly."""
        return len(self.content) + OVERHEAD

    def to(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Return what answers a GET or HEAD: 304 where the asker names the tag (RFC 9110, 13.1.2)."""
        scope = request.scope
        conditions = [value for name, value in scope["headers"] if name == b"if-none-match"]
        if conditions and (conditions == [self.tag] or self._is_known(conditions)):
            return self._unchanged
        return self._head if scope["method"] == "HEAD" else self._full

    def _is_known(self, conditions: list[bytes]) -> bool:
        return is_known(self.tag.decode(), [condition.decode("latin-1") for condition in conditions])


def moved(address: str, lifetime: str, headers: Mapping[str, str] | None = None) -> ASGIResponse:
    """Send the asker to another address for now (302)."""
    named = {"location": address, "cache-control": lifetime, "content-length": "0", **SECURITY_HEADERS}
    # Like an answer to HEAD it has no content, and so no media type either.
    return ASGIResponse(status_code=HTTPStatus.FOUND, headers={**named, **(headers or {})}, is_head_response=True)
