"""Addresses of captures in web archives (Memento, RFC 7089), and whether an answer is the capture that was asked for.

Archives answer with another capture, by a redirect or in place, when they have not got the one asked for. That is no
word about the one asked for, neither good nor bad.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

FIRST_YEAR: Final = 1990
"""Nothing was captured before there was a web."""

_STAMP: Final = re.compile(r"[0-9]{14}")
_MEMENTO: Final = re.compile(r"(?P<replay>https?://.+?)/(?P<stamp>[0-9]{1,14})(?:[a-z]{2}_)?/(?P<url>https?:/.+)")
_ADDRESS: Final = re.compile(r"https?:/{1,2}(?:www\.)?([^/?#]*?)(?::80|:443)?([/?].*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Memento:
    """One capture by its address: where the archive replays, its 14-digit time, and what was captured."""

    replay: str
    stamp: str
    url: str

    @property
    def address(self) -> str:
        """Return the address that people open; it is what an attestation names."""
        return f"{self.replay}/{self.stamp}/{self.url}"

    @property
    def raw(self) -> str:
        """Return the address of the bytes as they were captured."""
        return f"{self.replay}/{self.stamp}id_/{self.url}"

    @property
    def captured_at(self) -> str:
        """Return its time as `YYYY-MM-DDTHH:MM:SSZ`."""
        return _instant(self.stamp).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_memento(address: str) -> Memento | None:
    """Read the address of a capture in the form of the Wayback Machine; None where it is none of one exact second."""
    found = _MEMENTO.fullmatch(address)
    if found is None or not is_stamp(found["stamp"]):
        return None
    return Memento(found["replay"], found["stamp"], found["url"])


def not_this_capture(memento: Memento, final_url: str, headers: Mapping[str, str]) -> str:
    """Say why an answer is not the capture that was asked for; empty where it is.

    Args:
        final_url: where redirects led.
        headers: of the answer, by lower-case name.
    """
    if is_elsewhere(memento, final_url):
        return "the archive sends elsewhere for it"
    stated = headers.get("memento-datetime", "")
    try:
        at = parsedate_to_datetime(stated).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return "the answer does not say of which capture it is (Memento-Datetime)"
    if at != _instant(memento.stamp):
        return f"the archive answers with its capture of {at:%Y-%m-%d %H:%M:%S}"
    return ""


def is_elsewhere(memento: Memento, final_url: str) -> bool:
    """Say whether redirects led away from a capture: to another archive, another second or another address."""
    final = parse_memento(final_url)
    if final is None or final.stamp != memento.stamp:
        return True
    if _host(memento.replay) != _host(final.replay):
        return True
    try:
        # As it was asked for: a host within a path is escaped as a path is.
        own = parse_memento(str(httpx.URL(memento.raw))) or memento
    except (httpx.InvalidURL, ValueError):
        own = memento
    return not is_same_address(own.url, final.url)


def is_same_address(one: str, other: str, *, slash: bool = False) -> bool:
    """Say whether two addresses are the same but for what archives make no difference of: scheme, `www.` and spelling.

    Args:
        slash: whether a final slash makes no difference either.
    """
    forms = []
    for url in (one, other):
        form = _form(url)
        forms.append(form.rstrip("/") if slash and "?" not in form else form)
    return forms[0] == forms[1]


def stamp_of(microseconds: int) -> str:
    """Return a time in 14 digits, `YYYYMMDDhhmmss`."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y%m%d%H%M%S")


def is_stamp(text: str) -> bool:
    """Say whether a text is a time in 14 digits that there is, and at which there was a web."""
    if not _STAMP.fullmatch(text):
        return False
    try:
        return _instant(text).year >= FIRST_YEAR
    except ValueError:
        return False


def _host(url: str) -> str:
    found = _ADDRESS.fullmatch(url)
    return found[1].lower() if found else url


def _form(url: str) -> str:
    """Return an address as it is compared: without scheme, `www.`, the scheme's port and fragment, and escaped."""
    found = _ADDRESS.fullmatch(url.partition("#")[0])
    if found is None:
        return url
    host, rest = found[1].lower(), found[2] or "/"
    if rest.startswith("?"):
        rest = f"/{rest}"
    try:
        return host + httpx.URL(f"http://host{rest}").raw_path.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        return host + rest


def _instant(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
