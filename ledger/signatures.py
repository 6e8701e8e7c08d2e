"""Every signature that an event carries, as checks that need neither the log nor the parsed event.

An event is signed once by its signer; some carry more: a record its pith_receipt, a key registration
the key's own statement, a rotation the consent of both keys. `signatures_of` lists them all, so that
one loop, on any number of threads, verifies an event completely.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ledger import canonical
from ledger.errors import InvalidFieldError, LedgerError, MissingFieldError, UnknownKeyError
from ledger.events import Event
from ledger.keyring import NOW, KeyHistory
from ledger.keys import (
    EVENT_DOMAIN,
    KEY_DOMAIN,
    SecretKey,
    check_public_key,
    decode_signature,
    encode_signature,
    key_id,
    verify,
)
from ledger.payloads import KeyRegistered, KeyRotated, PithReceipt, RecordCreated, RecordUpdated

BUILDER_VERSION: Final = "pith-ledger-1"
RECEIPT_VERSION: Final = "0.3"


class Signature(msgspec.Struct, frozen=True):
    """One Ed25519 signature and what it must be over; `place` says where in the event it stands."""

    place: str
    public_key: bytes
    message: bytes
    signature: bytes

    def verify(self) -> None:
        """Check it.

        Raises:
            WeakKeyError, SignatureInvalidError: with the place in the event.
        """
        try:
            verify(self.public_key, self.message, self.signature)
        except LedgerError as error:
            error.place = self.place
            raise


_CARRYING: Final = frozenset({"record_created", "record_updated", "key_registered", "key_rotated"})
"""The types of events that carry more signatures than their signer's."""


def signatures_of(event: Event, keys: KeyHistory, before: int = NOW) -> list[Signature]:
    """List the signatures of an event, with the keys that were registered before a position.

    Raises:
        UnknownKeyError: a key that nobody registered.
        InvalidFieldError, MissingFieldError: a signature that is not even formed like one.
    """
    found = [
        Signature("signature_b64", _signer_key(event, keys, before), EVENT_DOMAIN + event.event_id, event.signature)
    ]
    if event.event_type not in _CARRYING:
        return found
    match event.payload:
        case RecordCreated(pith_receipt=receipt):
            found.append(receipt_signature(receipt, keys, before))
        case RecordUpdated(pith_receipt=receipt) if isinstance(receipt, Mapping):
            found.append(receipt_signature(receipt, keys, before))
        case KeyRegistered(statement=statement, statement_signature_b64=text):
            public_key = bytes.fromhex(statement.public_key)
            check_public_key(public_key)
            if text is not None:
                message = KEY_DOMAIN + digest_of(event.value["payload"]["statement"])
                signature = decode_signature(text, "payload.statement_signature_b64")
                found.append(Signature("payload.statement_signature_b64", public_key, message, signature))
        case KeyRotated(rotation=rotation):
            message = KEY_DOMAIN + digest_of(event.value["payload"]["rotation"])
            old = keys.find(rotation.old_key_id, before)
            if old is None:
                raise UnknownKeyError("the old key is not registered here", place="payload.rotation.old_key_id")
            for name, public_key in (("old", old.public_key), ("new", bytes.fromhex(rotation.statement.public_key))):
                place = f"payload.{name}_signature_b64"
                text = event.value["payload"][f"{name}_signature_b64"]
                found.append(Signature(place, public_key, message, decode_signature(text, place)))
    return found


def verify_signatures(event: Event, keys: KeyHistory, before: int = NOW) -> None:
    """Check every signature of an event; raises as `signatures_of` and `Signature.verify` do."""
    for signature in signatures_of(event, keys, before):
        signature.verify()


def digest_of(statement: Any) -> bytes:
    """Return the SHA-256 of a statement's canonical bytes: what its signature is over, after the domain."""
    return hashlib.sha256(canonical.encode_decoded(statement)).digest()


def parse_receipt(receipt: Mapping[str, Any], place: str = "payload.pith_receipt") -> PithReceipt:
    """Read the fields of a pith_receipt that its verification needs.

    Raises:
        MissingFieldError, InvalidFieldError: it is not one.
    """
    try:
        return msgspec.convert(receipt, PithReceipt)
    except msgspec.ValidationError as error:
        kind = MissingFieldError if "missing required" in str(error) else InvalidFieldError
        raise kind(str(error), place=place) from None


def receipt_signature(receipt: Mapping[str, Any], keys: KeyHistory, before: int = NOW) -> Signature:
    """Return the signature of a pith_receipt: over the bare 32 bytes of the canonical hash."""
    parsed = parse_receipt(receipt)
    key = keys.receipt_key(parsed.key_id, parsed.public_key_fingerprint, before)
    place = "payload.pith_receipt.signature_b64"
    message = bytes.fromhex(parsed.canonical_sha256)
    return Signature(place, key.public_key, message, decode_signature(parsed.signature_b64, place))


def issue_receipt(key: SecretKey, digest: bytes, signed_at: str) -> dict[str, Any]:
    """Sign a record's 32-byte canonical hash with a receipt key; `signed_at` is UTC with microseconds and Z."""
    return {
        "kind": "pith_receipt",
        "key_id": key.key_id,
        "algorithm": "ed25519",
        "signed_at": signed_at,
        "signature_b64": encode_signature(key.sign_receipt(digest)),
        "signed_message": "canonical_sha256_bytes",
        "builder_version": BUILDER_VERSION,
        "receipt_version": RECEIPT_VERSION,
        "canonical_sha256": digest.hex(),
        "last_reissued_at": signed_at,
        "signature_status": "signed_v1",
        "first_computed_at": signed_at,
        "public_key_fingerprint": key.key_id[:32],
    }


def _signer_key(event: Event, keys: KeyHistory, before: int) -> bytes:
    known = keys.find(event.signer.key_id, before)
    if known is not None:
        return known.public_key
    introduced: str | None = None
    match event.payload:
        case KeyRegistered(statement=statement):
            introduced = statement.public_key
        case KeyRotated(rotation=rotation):
            introduced = rotation.statement.public_key
    if introduced is not None and key_id(bytes.fromhex(introduced)) == event.signer.key_id:
        return bytes.fromhex(introduced)
    raise UnknownKeyError(f"the key {event.signer.key_id[:16]}… is not registered here", place="signer.key_id")
