"""The client of an RFC 3161 timestamp authority: a fresh request each time, and a reply that is believed only whole.

A reply is kept only if anybody can verify its very bytes later without us: under the accepted roots, offline, at the
time it states (`ledger.anchors.confirm`). What it is asked here besides is what only the asker can tell: that it
answers this request, and that its clock agrees with ours.
Source: RFC 3161, 2.2 to 2.4 and 3.4 (HTTP).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from rfc3161_client import TimeStampResponse, decode_timestamp_response

from ledger.anchors import MAX_PROOF_BYTES, confirm
from ledger.appending import Clock
from ledger.errors import AnchorError, AnchorUntrustedError, ServiceRefusedError, UsageError
from ledger.signing import Randomness
from ledger.timestamp_tokens import read_reply, signer_certificate
from ops.fetching import Answer, Fetching
from ops.timestamps.der import sorted_certificates, timestamp_request
from ops.timestamps.site import OK, Site, quoted

MAX_ANSWER_BYTES: Final = 64 * 1024
SKEW: Final = timedelta(seconds=60)
"""How far two honest clocks may be apart."""

MAX_ACCURACY: Final = timedelta(minutes=5)
"""The widest accuracy that a token can claim for itself and be taken at its word."""

OTHER_ROOT: Final = "give the root its certificate leads to: `pith policy --timestamp-root root.pem`"

_NONCE_BYTES: Final = 8
"""As `openssl ts` has it; some authorities take no longer ones."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_QUERY: Final = {"content-type": "application/timestamp-query", "accept": "application/timestamp-reply"}
_REPLY: Final = "application/timestamp-reply"


class AuthorityClient:
    """One authority by its address.

    Args:
        policy_oid: the policy that is asked for and that tokens must state; None takes any.
        roots: DER certificates: the roots that the registry's policy accepts, and intermediates left out of replies.
        clock: ours, by which the authority's is judged.
        random: where nonces come from.
    """

    def __init__(
        self,
        url: str,
        policy_oid: str | None,
        roots: Sequence[bytes],
        clock: Clock,
        fetching: Fetching,
        random: Randomness = os.urandom,
    ) -> None:
        """Raise UsageError for what is no address, or no OID."""
        self._site = Site(url, fetching)
        self.url: Final = self._site.address
        self._policy, self._roots, self._clock, self._random = policy_oid or None, tuple(roots), clock, random
        try:
            timestamp_request(bytes(32), 1, self._policy)
        except ValueError:
            raise UsageError("this policy is no object identifier, such as 1.2.3", place=self.url) from None

    def stamp(self, content: bytes) -> bytes:
        """Return the authority's reply (DER TimeStampResp, a `.tsr` file) for the SHA-256 of some content, verified.

        Certificates that the authority sends out of order are put in order, which no signature covers.

        Raises:
            ServiceUnavailableError: no answer now.
            ServiceRefusedError: it refuses, or what it answers does not hold; says which check failed.
        """
        digest = hashlib.sha256(content).digest()
        nonce = int.from_bytes(self._random(_NONCE_BYTES), "big")
        asked = self._clock()
        request = timestamp_request(digest, nonce, self._policy)
        answer = self._site.ask("POST", "", MAX_ANSWER_BYTES, headers=_QUERY, body=request)
        answered = self._clock()
        proof = sorted_certificates(self._body(answer))
        try:
            reply = read_reply(digest, proof)
            self._check_answer(reply, nonce)
            confirm("rfc3161", digest, proof, block_header=None, height=None, bitcoin=(), roots=self._roots)
        except (AnchorError, ValueError) as error:
            said = error.message if isinstance(error, AnchorError) else str(error)[:160]
            raise self._refused(said, OTHER_ROOT if isinstance(error, AnchorUntrustedError) else None) from error
        self._check_time(reply, asked, answered)
        return proof

    @staticmethod
    def ends(reply: bytes) -> datetime:
        """Return when the certificate that signed a verified reply ends, UTC: by then it is to be stamped anew.

        Raises:
            ServiceRefusedError: it is no reply that carries its signer's certificate.
        """
        try:
            return signer_certificate(decode_timestamp_response(reply)).not_valid_after_utc
        except (AnchorError, ValueError) as error:
            raise ServiceRefusedError("this is no reply that carries its signer's certificate") from error

    def _body(self, answer: Answer) -> bytes:
        if answer.status != OK:
            raise self._site.refusal(answer)
        type = answer.headers.get("content-type", "")
        if type.partition(";")[0].strip().lower() != _REPLY:
            raise self._refused(f"it answers with {quoted(type.encode()) or 'no content type'}, not {_REPLY}")
        if len(answer.body) > MAX_PROOF_BYTES:
            cure = "ask whether it can leave certificates out of its replies"
            raise self._refused(f"its reply has {len(answer.body)} bytes, more than {MAX_PROOF_BYTES}", cure)
        return answer.body

    def _check_answer(self, reply: TimeStampResponse, nonce: int) -> None:
        token = reply.tst_info
        if token.nonce != nonce:
            raise self._refused("its reply answers another request: the nonce is not ours")
        policy = token.policy.dotted_string
        if self._policy and policy != self._policy:
            raise self._refused(f"its reply is under policy {policy}, not {self._policy}")

    def _check_time(self, reply: TimeStampResponse, asked: int, answered: int) -> None:
        stated = reply.tst_info.gen_time
        first, last = (_EPOCH + timedelta(microseconds=time) for time in (asked, answered))
        if not first - _accuracy(reply) - SKEW <= stated <= last + SKEW:
            cure = "compare both clocks with a third one"
            raise self._refused(f"it says it is {stated:%Y-%m-%dT%H:%M:%SZ}, our clock {last:%Y-%m-%dT%H:%M:%SZ}", cure)

    def _refused(self, message: str, cure: str | None = None) -> ServiceRefusedError:
        return ServiceRefusedError(message, place=self.url, cure=cure)


def _accuracy(reply: TimeStampResponse) -> timedelta:
    stated = reply.tst_info.accuracy
    if stated is None:
        return timedelta()
    seconds, millis, micros = stated.seconds or 0, stated.millis or 0, stated.micros or 0
    return min(timedelta(seconds=min(seconds, 86_400), milliseconds=millis, microseconds=micros), MAX_ACCURACY)
