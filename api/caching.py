"""Conditional requests (RFC 9110, 13): a strong ETag from the content, and 304 for whoever has it already."""

from __future__ import annotations

import re
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response

from api.problems import SECURITY_HEADERS

IMMUTABLE: Final = "public, max-age=31536000, immutable"
"""For what never changes under its address."""

SHORT: Final = "public, max-age=5"
"""For what may change at any moment; C2SP tlog-tiles wants checkpoints cached for no more than a few seconds."""

_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def cached(request: Request[Any, Any, Any], content: bytes, kind: str, lifetime: str) -> Response[bytes]:
    """Return content as an answer to GET or HEAD, or 304 where the asker names its tag.

    Args:
        kind: the media type.
        lifetime: the Cache-Control.
    """
    tag = f'"{sha256(content).hexdigest()}"'
    headers = {"etag": tag, "cache-control": lifetime, **SECURITY_HEADERS}
    if is_known(tag, request.headers.getall("if-none-match", [])):
        return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers |= {"content-type": kind, "content-length": str(len(content))}
    return Response(b"" if request.method == "HEAD" else content, status_code=HTTPStatus.OK, headers=headers)


def is_known(tag: str, conditions: list[str]) -> bool:
    """Say whether the values of `If-None-Match` headers name a tag; weak tags compare like strong ones here."""
    named = ", ".join(conditions)
    return named.strip() == "*" or tag in _TAG.findall(named)
