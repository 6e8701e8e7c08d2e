"""What was proven goes into the log as `identity_evidence` by the registry; what proves it stays private.

The event commits to the evidence text. Text and salt are kept beside the log, where they can be forgotten; only with
its person's consent are they disclosed in the log itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import delete, insert

from api.identity.refusals import IdentityMismatchError
from api.identity.tables import EVIDENCE
from api.parts import Parts
from api.private import derive
from api.submitting.submissions import intake_of
from ledger.appending import Submission
from ledger.commitments import MAX_TEXT_BYTES, Disclosure
from ledger.errors import InvalidFieldError, SubmissionError
from ledger.events import Entry
from ledger.keyring import Registration
from ledger.payloads import IdentityEvidence
from ledger.signatures import digest_of
from ledger.times import seconds

_PATH: Final = "evidence"


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """What a proof of identity led to: the identifier that now stands for the key, and the entry that says so."""

    key_id: str
    identifier: str
    method: str
    event_id: str
    position: int
    created: bool


def prove(
    parts: Parts, key: Registration, identifier: str, method: str, evidence: Mapping[str, Any], *, consent: bool
) -> Proven:
    """Append that an identifier was proven for a key just now, unless the log says so already.

    Args:
        evidence: what proves it, as JSON; `consent` publishes it.

    Raises:
        IdentityMismatchError: the key names another identifier of this kind.
        NotOfferedError, SubmissionError, StoreError: it cannot be appended.
    """
    check_same_person(key, identifier)
    known = _known_proof(parts, key.key_id, identifier)
    created = known is None
    if known is None:
        payload = {
            "identifier": identifier,
            "method": method,
            "evidence": _text(evidence),
            "proven_at": seconds(parts.clock()),
            "key_id": key.key_id,
        }
        known = append_evidence(parts, "registry", payload, consent=consent)
    found: IdentityEvidence = known.event.payload
    return Proven(
        key_id=key.key_id,
        identifier=identifier,
        method=found.method,
        event_id=known.event.id_text,
        position=known.position,
        created=created,
    )


def append_evidence(parts: Parts, subject: str, payload: Mapping[str, Any], *, consent: bool) -> Entry:
    """Sign and append an identity_evidence event; its evidence is given in clear.

    Args:
        subject: a full Pith Number, or `registry` for evidence about a key.

    Raises:
        NotOfferedError, SubmissionError, StoreError: it cannot be appended; nothing is kept of it.
    """
    intake = intake_of(parts)
    if len(payload[_PATH].encode()) > MAX_TEXT_BYTES:
        raise InvalidFieldError(f"more than {MAX_TEXT_BYTES} bytes of text", place=_PATH)
    event, disclosures = intake.signatory.sign("identity_evidence", subject, payload)
    if consent:
        return intake.append(Submission(event, disclosures)).entry
    # Kept first: of an event in the log, the text must not be missing.
    _keep(parts, event.id_text, disclosures[_PATH])
    try:
        return intake.append(Submission(event)).entry
    except SubmissionError:
        # Only then it is certain that the event is not in the log.
        with parts.private.write() as connection:
            connection.execute(delete(EVIDENCE).where(EVIDENCE.c.event_id == event.id_text))
        raise


def check_same_person(key: Registration, identifier: str) -> None:
    """Refuse an identifier for a key that was registered under another one of the same kind.

    Raises:
        IdentityMismatchError: it was.
    """
    named, scheme = key.statement.signer_id, identifier.partition(":")[0]
    if named.partition(":")[0] == scheme and named != identifier:
        raise IdentityMismatchError(f"{identifier} was proven, and the key was registered for {named}", place="key_id")


def statement_digest(key: Registration) -> bytes:
    """Return the SHA-256 of a key's statement: what the key signed when it was registered."""
    return digest_of(msgspec.to_builtins(key.statement))


def email_identifier(parts: Parts, address: str) -> str:
    """Return how a normalised address stands in the log: the same for the same address, and telling nothing of it."""
    return f"email:{derive(parts.private, 'email', address).hex()}"


def _known_proof(parts: Parts, key_id: str, identifier: str) -> Entry | None:
    sight = parts.present.sight
    if identifier not in sight.registry.keys.identifiers(key_id):
        return None
    for entry in reversed(sight.stream.entries):
        match entry.event.payload:
            case IdentityEvidence(key_id=known, identifier=proven) if (known, proven) == (key_id, identifier):
                at = entry.event.signer.key_id, entry.position, entry.received_at
                return None if sight.registry.keys.is_cut(*at) else entry
    return None


def _keep(parts: Parts, event_id: str, text: Disclosure) -> None:
    with parts.private.write() as connection:
        connection.execute(insert(EVIDENCE).values(event_id=event_id, salt=text.salt, text=text.text))


def _text(evidence: Mapping[str, Any]) -> str:
    return json.dumps(evidence, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
