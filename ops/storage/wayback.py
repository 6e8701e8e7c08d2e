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

from ledger.errors import ServiceUnavailableError, SourceUnreadableError
from ops.fetching import Answer, Fetching
from ops.services import WebArchive
from ops.storage.archive_errors import (
    BUSY,
    CAPTURED_BY_OTHERS,
    RETRYABLE,
    ArchiveBusyError,
    ArchiveUnavailableError,
    CapturedByOthersError,
    CaptureRefusedError,
    retry_after,
)
from ops.storage.mementos import Memento, is_same_address, is_stamp

MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_INDEX_BYTES: Final = 256 * 1024
MAX_CAPTURES: Final = 100
MAX_JOB: Final = 200


_OK: Final = 200
_OVERLOADED: Final = (408, 425, 429)
_KEYS: Final = (401, 403)
_CODE: Final = re.compile(r"error:[a-z0-9-]{1,60}")


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
            CaptureRefusedError: it never will be.
            ServiceUnavailableError: it is not taken now, and why; ArchiveUnavailableError and ArchiveBusyError where
                that is not about this address.
        """
        _check_exact(url)
        # Without force_get the archive would open a file of a paper in a browser.
        form = urlencode({"url": url, "force_get": "1"}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", **self._headers()}
        answered = self._answered("POST", self._archive.save, headers, form)
        job = answered.job_id or ""
        if not 0 < len(job) <= MAX_JOB:
            message = f"{self.name} names no job: {_said(answered.message)}"
            raise ServiceUnavailableError(message, place=self._archive.save)
        return job

    def saved(self, job: str) -> str | None:
        """Return the 14-digit time of the capture that a job made; None while it is under way.

        Raises:
            CapturedByOthersError, CaptureRefusedError, ServiceUnavailableError: it made none, and why; see `save`.
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

        Of an index that answers with other addresses too, only captures of this one count; without scheme, `www.` and
        final slash, which are one to an index.

        Raises:
            ServiceUnavailableError: the index cannot be read, and why.
            CaptureRefusedError: the address stands for many.
        """
        _check_exact(url)
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
            if is_same_address(url, str(row.get("original", row.get("url", ""))), slash=True)
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
            message = f"{self.name} answers with no index"
            raise ArchiveUnavailableError(message, place=self._archive.cdx) from None

    def _answered(self, method: str, address: str, headers: Mapping[str, str], body: bytes = b"") -> _Answered:
        answer = self._ask(method, address, headers, body)
        try:
            answered = msgspec.json.decode(answer.body, type=_Answered)
        except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
            message = f"{self.name} answers with no JSON of its interface"
            raise ArchiveUnavailableError(message, place=address) from None
        if answered.status == "error" or answered.status_ext:
            raise self._refusal(answered, address)
        return answered

    def _refusal(
        self, answered: _Answered, address: str
    ) -> ServiceUnavailableError | CapturedByOthersError | CaptureRefusedError:
        stated = answered.status_ext or ""
        code = stated if _CODE.fullmatch(stated) else "an unknown error"
        message = f"{self.name} says {code}: {_said(answered.message)}"
        if code == CAPTURED_BY_OTHERS:
            return CapturedByOthersError(message, place=address)
        if code in BUSY:
            return ArchiveBusyError(message, place=address)
        if code in RETRYABLE or code != stated:
            return ServiceUnavailableError(message, place=address)
        return CaptureRefusedError(message, place=address)

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
            raise ArchiveUnavailableError(f"{self.name}: {error.message}", place=address) from error
        if answer.status == _OK:
            return answer
        message = f"{self.name} answers with status {answer.status}"
        if answer.status in _KEYS and headers:
            # It takes nothing until somebody mends that, and everything then.
            cure = "check the archive's access_key and secret_key in services.toml"
            raise ArchiveUnavailableError(message, place=address, cure=cure)
        if 400 <= answer.status < 500 and answer.status not in _OVERLOADED:
            # It may be about this address alone, and be no word of the interface's all the same.
            raise ServiceUnavailableError(message, place=address)
        raise ArchiveUnavailableError(message, place=address, retry_after=retry_after(answer.headers))

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json"}
        if self._archive.access_key:
            headers["authorization"] = f"LOW {self._archive.access_key}:{self._archive.secret_key}"
        return headers


def _check_exact(url: str) -> None:
    """Refuse an address that an index would take for the beginning or the end of many."""
    if url.startswith("*") or url.endswith("*"):
        raise CaptureRefusedError("an address that begins or ends with * stands for many", place=url, cure="")


def _said(text: str | None) -> str:
    return re.sub(r"[^ -~]", "?", (text or "")[:200]) or "nothing more"
