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

_STAMP: Final = re.compile(r"[0-9]{14}")
_MEMENTO: Final = re.compile(r"(?P<replay>https?://.+?)/(?P<stamp>[0-9]{1,14})(?:[a-z]{2}_)?/(?P<url>https?:/.+)")


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
    final = parse_memento(final_url)
    if final is None or final.stamp != memento.stamp:
        return "the archive sends elsewhere for it"
    stated = headers.get("memento-datetime", "")
    try:
        at = parsedate_to_datetime(stated).astimezone(UTC)
    except (ValueError, TypeError, IndexError):
        return "the answer does not say of which capture it is (Memento-Datetime)"
    if at != _instant(memento.stamp):
        return f"the archive answers with its capture of {at:%Y-%m-%d %H:%M:%S}"
    return ""


def stamp_of(microseconds: int) -> str:
    """Return a time in 14 digits, `YYYYMMDDhhmmss`."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y%m%d%H%M%S")


def is_stamp(text: str) -> bool:
    """Say whether a text is a time in 14 digits that there is."""
    if not _STAMP.fullmatch(text):
        return False
    try:
        _instant(text)
    except ValueError:
        return False
    return True


def _instant(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
