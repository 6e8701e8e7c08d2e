"""Asking other servers: a bounded answer in bounded time, never by a redirect, and where it matters never ourselves.

An address that a stranger has a say in is resolved here, and the one that was looked at is the one that is asked: a
name cannot lead to a private network, nor to another address the second time. Nothing else is asked on their behalf.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import msgspec

from api.identity.refusals import UnavailableError
from ledger.appending import Clock

PATIENCE_SECONDS: Final = 10
MAX_ANSWER_BYTES: Final = 256 * 1024


def fetched(
    url: str, clock: Clock, *, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None
) -> tuple[int, bytes]:
    """Ask an address that the registry's operator has configured; returns the status and the body.

    Args:
        form: POST these fields instead of GET.
        auth: name and secret for HTTP Basic.

    Raises:
        UnavailableError: no answer in time, too long a one, or a redirect.
    """
    return _asked(url, clock, {}, {}, form, auth)


def fetched_publicly(url: str, clock: Clock) -> tuple[int, bytes]:
    """GET an address whose host must be public, or named as private by itself; returns and raises as `fetched`."""
    target = httpx.URL(url)
    if _is_named_private(target.host):
        return _asked(url, clock, {}, {}, None, None)
    address = _public_address(target.host, target.port or (443 if target.scheme == "https" else 80))
    # The certificate must still be for the name.
    extensions = {"sni_hostname": target.host}
    return _asked(str(target.copy_with(host=address)), clock, {"host": target.netloc.decode()}, extensions, None, None)


def fetched_json(url: str, kind: type[Any], answer: tuple[int, bytes]) -> Any:
    """Read a JSON answer of status 200 as a type, other members passed over; raises UnavailableError."""
    status, content = answer
    try:
        if status != httpx.codes.OK:
            raise ValueError
        return msgspec.json.decode(content, type=kind)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        raise UnavailableError(f"{_host(url)} gave no answer that can be used") from None


def _asked(
    url: str,
    clock: Clock,
    headers: Mapping[str, str],
    extensions: Mapping[str, Any],
    form: Mapping[str, str] | None,
    auth: tuple[str, str] | None,
) -> tuple[int, bytes]:
    deadline = clock() + PATIENCE_SECONDS * 1_000_000
    request: dict[str, Any] = {"headers": {"accept": "application/json, text/plain", **headers}}
    if form is not None:
        request["data"] = dict(form)
    try:
        with (
            # Proxies of the environment would resolve the name a second time.
            httpx.Client(timeout=PATIENCE_SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream(
                "GET" if form is None else "POST", url, auth=auth, extensions=dict(extensions), **request
            ) as answer,
        ):
            if answer.is_redirect:
                raise UnavailableError(f"{_host(url)} sends elsewhere, which is not followed")
            return answer.status_code, _read(answer, lambda: clock() > deadline)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"{_host(url)} did not answer") from error


def _read(answer: httpx.Response, is_late: Callable[[], bool]) -> bytes:
    content = bytearray()
    for chunk in answer.iter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES or is_late():
            raise UnavailableError(f"{answer.request.url.host} gave too long an answer, or took too long")
    return bytes(content)


def _host(url: str) -> str:
    return httpx.URL(url).host


def _is_named_private(host: str) -> bool:
    """Say whether a host is private by its very spelling: then the operator meant it."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"


def _public_address(host: str, port: int) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnavailableError(f"{host} has no address") from None
    addresses = [str(info[4][0]) for info in found]
    if not all(_is_public(address) for address in addresses):
        raise UnavailableError(f"{host} leads to a private address", cure="tell the registry's operator")
    return addresses[0]


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast
