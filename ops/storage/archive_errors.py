"""How a web archive says that it will not, or cannot now: by codes of its interface, a status, or silence.

Only a code of the interface is a final word about an address. All else may be a page of maintenance, a captive portal
or a broken proxy, and is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from ledger.errors import ServiceRefusedError, ServiceUnavailableError

RETRYABLE: Final = frozenset(
    f"error:{code}"
    for code in (
        "bad-gateway",
        "bandwidth-limit-exceeded",
        "browsing-timeout",
        "capture-location-error",
        "celery",
        "gateway-timeout",
        "internal-server-error",
        "job-failed",
        "no-browsers-available",
        "proxy-error",
        "read-timeout",
        "service-unavailable",
        "soft-time-limit-exceeded",
        "too-many-requests",
        "user-session-limit",
    )
)
"""What can go better another time; any other code, also one that is not known yet, is final."""

BUSY: Final = frozenset(("error:celery", "error:no-browsers-available", "error:user-session-limit"))
"""What says nothing about the address: no capture can begin at the moment."""

CAPTURED_BY_OTHERS: Final = "error:too-many-daily-captures"
MAX_RETRY_SECONDS: Final = 24 * 3_600


class CapturedByOthersError(ServiceRefusedError):
    """The archive captured this address so often today that it takes it no more: a fresh capture is in its index."""


class CaptureRefusedError(ServiceRefusedError):
    """The interface itself says, by a code of its own, that it will not capture this address: the only final word."""


class ArchiveUnavailableError(ServiceUnavailableError):
    """Nothing can be had of the archive now, whatever the address; `retry_after` is how many seconds it asks for."""

    def __init__(self, message: str, *, place: str = "", cure: str | None = None, retry_after: int = 0) -> None:
        super().__init__(message, place=place, cure=cure)
        self.retry_after = retry_after


class ArchiveBusyError(ServiceUnavailableError):
    """The archive begins no more captures at the moment; how far others are can still be asked."""


def retry_after(headers: Mapping[str, str]) -> int:
    """Return for how many seconds a server asks to be left alone (RFC 9110 10.2.3), 0 where it says nothing; bounded.

    Args:
        headers: of its answer, by lower-case name.
    """
    stated = headers.get("retry-after", "").strip()
    if stated.isascii() and stated.isdigit():
        return min(int(stated[:10]), MAX_RETRY_SECONDS)
    try:
        rest = parsedate_to_datetime(stated) - parsedate_to_datetime(headers.get("date", ""))
        return min(max(int(rest.total_seconds()), 0), MAX_RETRY_SECONDS)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
