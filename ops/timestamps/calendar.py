"""The client of an OpenTimestamps calendar: a promise for a digest, and later what became of it.

A calendar gathers digests and puts one hash of all into a Bitcoin transaction some hours later. What it answers
counts for nothing until the header of the block it names bears it out (`ledger.anchors.confirm`): a calendar that
lies, or never keeps its promise, costs time and no more.
Source: the reference client and server of OpenTimestamps (`POST /digest`, `GET /timestamp/{commitment}`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.errors import AnchorError, ServiceRefusedError
from ops.fetching import Answer, Fetching
from ops.timestamps.proofs import begun, blocks, continued, promises
from ops.timestamps.site import OK, Site, same_site

MAX_ANSWER_BYTES: Final = 10_000
MAX_COMMITMENTS: Final = 8
"""How many promises of one proof are asked about at a time: an honest answer holds one."""

_ACCEPTING: Final = {"accept": "application/vnd.opentimestamps.v1"}
_POSTING: Final = {**_ACCEPTING, "content-type": "application/x-www-form-urlencoded"}
_UNKNOWN: Final = 404


class CalendarClient:
    """One calendar by its address, as its promises name it; a final slash makes no difference.

    Pools that hand a digest on to a calendar of another address cannot be used by the pool's address.
    """

    def __init__(self, url: str, fetching: Fetching) -> None:
        """Raise UsageError for what is no address."""
        self._site = Site(url, fetching)
        self.url: Final = self._site.address

    def stamp(self, digest: bytes) -> bytes:
        """Return the calendar's promise for a raw SHA-256: an `.ots` file, pending.

        Raises:
            ServiceUnavailableError: no answer now.
            ServiceRefusedError: it refuses, or answers what is no promise of this calendar for this digest.
        """
        answer = self._site.ask("POST", "/digest", MAX_ANSWER_BYTES, headers=_POSTING, body=digest)
        if answer.status != OK:
            raise self._site.refusal(answer)
        proof = self._read(answer, lambda body: begun(digest, body))
        if not self._commitments(proof) and not blocks(proof):
            elsewhere = [uri for _, uri in promises(proof)]
            if elsewhere:
                cure = f"if {elsewhere[0][:160]} is to be trusted to keep it, give that address instead"
                raise ServiceRefusedError("it answers with a promise of another calendar", place=self.url, cure=cure)
            raise ServiceRefusedError("it answers with no promise that anybody could ask for", place=self.url)
        return proof

    def upgrade(self, proof: bytes) -> bytes | None:
        """Return a proof with what the calendar has added to its promises in it; None where no block is new yet.

        Promises of other calendars stay in the proof, and are asked of nobody.

        Raises:
            AnchorError: the given bytes are no proof.
            ServiceUnavailableError: no answer now.
            ServiceRefusedError: it refuses, or answers what cannot be merged.
        """
        grown = proof
        for commitment in self._commitments(proof)[:MAX_COMMITMENTS]:
            answer = self._site.ask("GET", f"/timestamp/{commitment.hex()}", MAX_ANSWER_BYTES, headers=_ACCEPTING)
            if answer.status == _UNKNOWN:
                continue
            if answer.status != OK:
                raise self._site.refusal(answer)
            grown = self._read(answer, lambda body, held=grown, at=commitment: continued(held, at, body))  # type: ignore[misc]
        return grown if blocks(grown) - blocks(proof) else None

    def _commitments(self, proof: bytes) -> list[bytes]:
        return [commitment for commitment, uri in promises(proof) if same_site(uri, self.url)]

    def _read(self, answer: Answer, reading: Callable[[bytes], bytes]) -> bytes:
        try:
            return reading(answer.body)
        except AnchorError as error:
            raise ServiceRefusedError(f"what it answers cannot be used: {error.message}", place=self.url) from error
