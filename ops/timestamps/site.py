"""Asking a service of others by HTTP: its address, its password, and what its status means.

User and password stand in the address where an operator wrote them, go out as a header (RFC 7617), and appear in
no error. What a service says in its own words is quoted only short and printable.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from ledger.errors import ServiceError, ServiceRefusedError, ServiceUnavailableError, SourceUnreadableError, UsageError
from ops.fetching import Answer, Fetching

OK: Final = 200
_LATER: Final = frozenset({408, 425, 429})
_SAID: Final = 160
_UNPRINTABLE: Final = re.compile(rb"[^A-Za-z0-9#\-.,;:()/' ]+")


class Site:
    """One service at one address, with or without a final slash, a path, and user and password."""

    def __init__(self, address: str, fetching: Fetching) -> None:
        """Take the address apart.

        Raises:
            UsageError: it is no address by http or https.
        """
        try:
            parts = urlsplit(address.strip())
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if host is None or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            cure = "give an address that starts with http:// or https:// and has neither a query nor a fragment"
            raise UsageError("this is not the address of a service", place=_bare(address), cure=cure)
        self._exact: Final = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}{parts.path}"
        self.address: Final = self._exact.rstrip("/")
        self._fetching = fetching
        self._headers: dict[str, str] = {}
        if "@" in parts.netloc:
            told = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            self._headers["authorization"] = f"Basic {base64.b64encode(told.encode()).decode()}"

    def __repr__(self) -> str:
        return f"Site({self.address!r})"

    def ask(
        self, method: str, path: str, limit: int, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Return what the service answers, whatever the status.

        Args:
            path: `/name` below the address; empty for exactly the address as it was given.
            limit: how many bytes the answer's body can have.

        Raises:
            ServiceUnavailableError: there is no whole answer of that length.
        """
        sent = {**(headers or {}), **self._headers}
        try:
            address = self.address + path if path else self._exact
            return self._fetching.ask(method, address, limit, headers=sent, body=body)
        except SourceUnreadableError as error:
            raise ServiceUnavailableError(
                f"it gives no usable answer: {error.message[:_SAID]}", place=self.address, cure=error.cure
            ) from error

    def refusal(self, answer: Answer) -> ServiceError:
        """Return what a status other than the one hoped for means, with the service's own words."""
        said = quoted(answer.body)
        message = f"it answers with status {answer.status}" + (f", saying: {said}" if said else "")
        if answer.status >= 500 or answer.status in _LATER:
            return ServiceUnavailableError(message, place=self.address)
        cure = "redirects are not followed: give the address that is meant" if 300 <= answer.status < 400 else None
        return ServiceRefusedError(message, place=self.address, cure=cure)


def same_site(address: str, other: str) -> bool:
    """Return whether two addresses are the same, a final slash and the case of the host aside."""
    return _normal(address) == _normal(other)


def quoted(body: bytes) -> str:
    """Return the first words of an answer, whatever they are, as something that can be shown."""
    return _UNPRINTABLE.sub(b"_", body[:_SAID]).decode("ascii").strip(" _")


def _normal(address: str) -> str:
    scheme, separator, rest = address.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.rpartition('@')[2].lower()}{slash}{path}".rstrip("/")


def _bare(address: str) -> str:
    """Return an address of whatever form without what may be a password."""
    return quoted(address.rpartition("@")[2].encode("ascii", "replace"))
