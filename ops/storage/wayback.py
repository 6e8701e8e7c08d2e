"""Web archives: asking for a capture (Save Page Now 2 of the Internet Archive) and looking captures up (CDX).

An archive's word that it captured something is a claim; it counts as fetched only once a checker read the bytes of that
very capture (see `mementos`). Errors come with HTTP status 200, and only some are worth another try.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from ledger.errors import ServiceRefusedError, ServiceUnavailableError, SourceUnreadableError
from ops.fetching import Answer, Fetching
from ops.services import WebArchive
from ops.storage.mementos import Memento, is_stamp

MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_INDEX_BYTES: Final = 256 * 1024
MAX_CAPTURES: Final = 100
MAX_JOB: Final = 200

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

CAPTURED_BY_OTHERS: Final = "error:too-many-daily-captures"

_OK: Final = 200
_OVERLOADED: Final = (408, 425, 429)
_CODE: Final = re.compile(r"error:[a-z0-9-]{1,60}")


class CapturedByOthersError(ServiceRefusedError):
    """The archive captured this address so often today that it takes it no more: a fresh capture is in its index."""


class _Answered(msgspec.Struct, frozen=True):
    """What Save Page Now 2 answers; an error comes with status 200 and without a job."""

    job_id: str | None = None
    status: str | None = None
    status_ext: str | None = None
    message: str | None = None
    timestamp: str | None = None


class Archive:
    """A configured web archive, asked over `fetching`; redirects of its interfaces are not followed."""

    def __init__(self, archive: WebArchive, fetching: Fetching) -> None:
        self._archive = archive
        self._fetching = fetching

    @property
    def name(self) -> str:
        return self._archive.name

    def memento(self, stamp: str, url: str) -> Memento:
        return Memento(self._archive.replay.rstrip("/"), stamp, url)

    def replays(self, address: str) -> bool:
        """Say whether an address lies below where this archive replays."""
        return address.startswith(self._archive.replay.rstrip("/") + "/")

    def save(self, url: str) -> str:
        """Ask for a capture of an address; return the job's name, whatever its form.

        Raises:
            CapturedByOthersError: it was captured today already; look it up.
            ServiceUnavailableError, ServiceRefusedError: it is not taken, and why.
        """
        # Without force_get the archive would open a file of a paper in a browser.
        form = urlencode({"url": url, "force_get": "1"}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", **self._headers()}
        answered = self._answered("POST", self._archive.save, headers, form)
        job = answered.job_id or ""
        if not 0 < len(job) <= MAX_JOB:
            raise ServiceRefusedError(f"{self.name} names no job: {_said(answered.message)}", place=self._archive.save)
        return job

    def saved(self, job: str) -> str | None:
        """Return the 14-digit time of the capture that a job made; None while it is under way.

        Raises:
            CapturedByOthersError, ServiceUnavailableError, ServiceRefusedError: it made none, and why.
        """
        address = f"{self._archive.save}/status/{quote(job, safe='')}"
        answered = self._answered("GET", address, self._headers())
        if answered.status == "pending":
            return None
        stamp = answered.timestamp or ""
        if answered.status != "success" or not is_stamp(stamp):
            raise ServiceUnavailableError(f"{self.name} does not say what became of it", place=address)
        return stamp

    def captures(self, url: str, since: str) -> list[str]:
        """Return the 14-digit times of whole captures of an address that its index knows, from one on, in order.

        Raises:
            ServiceUnavailableError, ServiceRefusedError: the index cannot be read, and why.
        """
        query = {
            "url": url,
            "output": "json",
            "fl": "timestamp,original,statuscode",
            "from": since,
            "limit": str(MAX_CAPTURES),
        }
        answer = self._ask("GET", f"{self._archive.cdx}?{urlencode(query)}", {}, limit=MAX_INDEX_BYTES)
        found = {
            stamp
            for row in self._rows(answer.body)
            # A capture of the same bytes as before refers to them and has no status of its own.
            if is_stamp(stamp := str(row.get("timestamp", ""))) and stamp >= since
            if str(row.get("statuscode", row.get("status", ""))) in ("200", "-")
        }
        return sorted(found)

    def _rows(self, body: bytes) -> list[dict[str, Any]]:
        """Read an index's answer: one list with the names of the columns first, or an object a line (pywb)."""
        try:
            if body.strip().startswith(b"["):
                names, *lines = msgspec.json.decode(body, type=list[list[str]]) or [[]]
                return [dict(zip(names, line, strict=True)) for line in lines]
            return [msgspec.json.decode(line, type=dict[str, Any]) for line in body.splitlines() if line.strip()]
        except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
            raise ServiceUnavailableError(f"{self.name} answers with no index", place=self._archive.cdx) from None

    def _answered(self, method: str, address: str, headers: Mapping[str, str], body: bytes = b"") -> _Answered:
        answer = self._ask(method, address, headers, body)
        try:
            answered = msgspec.json.decode(answer.body, type=_Answered)
        except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
            raise ServiceUnavailableError(f"{self.name} answers with no JSON of its interface", place=address) from None
        if answered.status == "error" or answered.status_ext:
            raise self._refusal(answered, address)
        return answered

    def _refusal(self, answered: _Answered, address: str) -> ServiceUnavailableError | ServiceRefusedError:
        code = answered.status_ext or ""
        if not _CODE.fullmatch(code):
            code = "an unknown error"
        message = f"{self.name} says {code}: {_said(answered.message)}"
        if code == CAPTURED_BY_OTHERS:
            return CapturedByOthersError(message, place=address)
        if code in RETRYABLE:
            return ServiceUnavailableError(message, place=address)
        return ServiceRefusedError(message, place=address)

    def _ask(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        limit: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        try:
            answer = self._fetching.ask(method, address, limit, headers=headers, body=body)
        except SourceUnreadableError as error:
            raise ServiceUnavailableError(f"{self.name}: {error.message}", place=address) from error
        if answer.status == _OK:
            return answer
        message = f"{self.name} answers with status {answer.status}"
        if answer.status in (401, 403):
            # It takes nothing until somebody mends that, and everything then.
            cure = "check the archive's access_key and secret_key in services.toml"
            raise ServiceUnavailableError(message, place=address, cure=cure)
        if answer.status in _OVERLOADED or answer.status >= 500:
            raise ServiceUnavailableError(message, place=address)
        raise ServiceRefusedError(message, place=address)

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json"}
        if self._archive.access_key:
            headers["authorization"] = f"LOW {self._archive.access_key}:{self._archive.secret_key}"
        return headers


def _said(text: str | None) -> str:
    return re.sub(r"[^ -~]", "?", (text or "")[:200]) or "nothing more"
