"""The event: one signed, immutable statement (schema `pith-event/1`).

    body      = the event without `event_id` and `signature_b64`
    event_id  = "sha256:" + hex(sha256(canonical bytes of body))
    signature = Ed25519 over b"pith-event/1\\n" + the 32 raw bytes of that hash

An `Event` is always well formed: strict JSON, exact fields, its own id right. That its signature is by
the key it names is a separate step (`verify_signature`), since only the log knows the key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ledger import canonical
from ledger.errors import (
    EventIdMismatchError,
    InvalidFieldError,
    MalformedError,
    MissingFieldError,
    NotJsonError,
    SignerNotAllowedError,
    UnknownFieldError,
    UnknownTypeError,
)
from ledger.frames import Frame, frame_of, payload_of
from ledger.keys import SecretKey, decode_signature, encode_signature, verify_event
from ledger.payloads import PAYLOADS, EventIdText, Nonce, Payload, RegistryName, SignerId
from ledger.records import Hex64, Time, check_time
from ledger.subjects import NUMBER, REGISTRY_NAME

SCHEMA: Final = "pith-event/1"

SignerType = Literal["pith_registry", "contributor", "moderator"]
_ID = re.compile(r"sha256:[0-9a-f]{64}")
_CLAIM = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class TypeRules:
    """What an event type may be about and who may say it.

    `of_record` and `of_registry` are the target where the subject is a paper or a registry's stream (None:
    not about such a subject): a word, `event` (an event id) or `event-or-claim`. `on_behalf` says whether
    a registry may sign for someone without a key.
    """

    of_record: str | None
    of_registry: str | None
    signers: frozenset[str]
    on_behalf: Literal["never", "may", "must"]
    names_registry: bool


def _about_record(
    target: str, signers: str, on_behalf: Literal["never", "may", "must"] = "never", names_registry: bool = False
) -> TypeRules:
    return TypeRules(target, None, frozenset(signers.split()), on_behalf, names_registry)


def _about_registry(target: str, signers: str) -> TypeRules:
    return TypeRules(None, target, frozenset(signers.split()), "never", True)


_REGISTRY: Final = "pith_registry"
_BOTH: Final = "pith_registry contributor"
_ANYONE: Final = "pith_registry contributor moderator"

TYPES: Final[Mapping[str, TypeRules]] = {
    "record_created": _about_record("record", _REGISTRY),
    "record_updated": _about_record("record", _REGISTRY),
    "graph_snapshot": _about_record("graph", _REGISTRY),
    "alias_added": _about_record("alias", _REGISTRY),
    "timestamp_anchor": TypeRules("record", "checkpoint", frozenset(_BOTH.split()), "may", False),
    "storage_attestation": _about_record("storage", _BOTH, "may"),
    "author_attestation": _about_record("author", _BOTH, "must"),
    "citation_signature": _about_record("citation", _BOTH, "must"),
    "replication_record": _about_record("replication", _BOTH, "must"),
    "identity_evidence": TypeRules("author", "key", frozenset({_REGISTRY}), "never", True),
    "integrity_finding": _about_record("integrity", _REGISTRY),
    "integrity_rescinded": _about_record("integrity", _REGISTRY),
    "challenge": _about_record("event-or-claim", _BOTH, "must", True),
    "challenge_response": _about_record("event-or-claim", _BOTH, "must", True),
    "withdrawal": _about_record("event", _BOTH, "must", True),
    "moderation_decision": _about_record("event", "moderator", "never", True),
    "key_registered": _about_registry("key", _ANYONE),
    "key_rotated": _about_registry("key", _ANYONE),
    "key_revoked": _about_registry("key", _ANYONE),
    "policy_set": _about_registry("policy", _REGISTRY),
}


ATTESTATIONS: Final = (
    "timestamp_anchor",
    "storage_attestation",
    "author_attestation",
    "citation_signature",
    "replication_record",
)
CHALLENGES: Final = ("challenge", "challenge_response")
FINDINGS: Final = ("integrity_finding", "integrity_rescinded")
MODERATED: Final = frozenset(ATTESTATIONS + CHALLENGES)
"""What may be held, decided on and withdrawn. Records, keys, findings and policy cannot be rejected."""


class OnBehalfOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The person a registry signed for: a salted commitment, one per person."""

    kind: Literal["anonymous", "session"]
    subject: Hex64


class Signer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signed: the key, and the identity that the key was registered with."""

    signer_type: SignerType
    signer_id: SignerId
    key_id: Hex64
    public_key_fingerprint: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    on_behalf_of: OnBehalfOf | msgspec.UnsetType = msgspec.UNSET


_SIGNERS: Final = msgspec.json.Decoder(Signer)
_MAX_SIGNER_BYTES: Final = 1_024


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: Literal["pith-event/1"]
    event_type: Annotated[str, Meta(max_length=40)]
    subject_pith_number: Annotated[str, Meta(pattern=rf"^(?:{NUMBER}|pith:registry:{REGISTRY_NAME})\Z")]
    target: Annotated[str, Meta(max_length=80)]
    registry: RegistryName | None
    nonce: Nonce
    created_at: Time
    signer: Signer
    payload: dict[str, Any]
    event_id: EventIdText
    signature_b64: str


class Event(msgspec.Struct, frozen=True, eq=False):
    """A well-formed event; `raw` are its canonical bytes, the ones that are stored, served and hashed."""

    event_type: str
    subject: str
    target: str
    registry: str | None
    created_at: str
    signer: Signer
    event_id: bytes
    signature: bytes
    raw: bytes
    _payload: Payload | None = None
    _value: dict[str, Any] | None = None

    @property
    def id_text(self) -> str:
        return f"sha256:{self.event_id.hex()}"

    @property
    def payload(self) -> Any:
        """The struct of `payloads` that belongs to the type."""
        if self._payload is None:
            payload = msgspec.convert(self.value["payload"], PAYLOADS[self.event_type])
            msgspec.structs.force_setattr(self, "_payload", payload)
        return self._payload

    @property
    def value(self) -> dict[str, Any]:
        """The whole event as a JSON object."""
        if self._value is None:
            msgspec.structs.force_setattr(self, "_value", msgspec.json.decode(self.raw))
        assert self._value is not None
        return self._value


class Entry(msgspec.Struct, frozen=True, eq=False):
    """An event in a log: its leaf index and when the log took it (microseconds since 1970, UTC)."""

    position: int
    received_at: int
    event: Event

    def leaf(self) -> bytes:
        """Return the leaf data of the Merkle tree."""
        return leaf_data(self.received_at, self.event.raw)

    def leaf_hash(self) -> bytes:
        """Return the hash of the leaf (RFC 6962, 2.1)."""
        return hashlib.sha256(b"\0" + self.received_at.to_bytes(8, "big") + self.event.raw).digest()


def leaf_data(received_at: int, raw: bytes) -> bytes:
    """Return what a leaf is the hash of: `received_at` as 8 bytes big-endian, then the event's bytes."""
    return received_at.to_bytes(8, "big") + raw


def parse(raw: bytes) -> Event:
    """Read an event from JSON text in any spelling; its canonical bytes become `raw`.

    Raises:
        MalformedError, EventIdMismatchError, SignerNotAllowedError: with the place and the reason.
    """
    return parse_quickly(raw) or from_decoded(canonical.decode(raw))


def from_decoded(value: Any) -> Event:
    """Read an event from what `canonical.decode` gave; raises as `parse` does."""
    return _read(value, canonical.encode_decoded(value))


def parse_stored(raw: bytes) -> Event:
    """Read an event from the bytes of a log, which must be canonical.

    Raises:
        MalformedError, EventIdMismatchError: the bytes are not an event's.
    """
    return parse_quickly(raw) or _read(canonical.decode_canonical(raw), raw)


def parse_own(raw: bytes, event_id: bytes | None = None) -> Event:
    """Read an event that another process of this program read whole, or signed, a moment ago.

    That it is one is not asked again; its payload is not even looked at before somebody does.

    Args:
        event_id: what that process found it to be.
    """
    frame = frame_of(raw)
    signer = _signer_of(frame.signer) if frame else None
    if frame is None or signer is None:
        return _read(msgspec.json.decode(raw), raw, event_id)
    return _event(frame, signer, event_id or frame.digest(raw), raw, None)


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """What an event's bytes say outside its payload, its id among it: all that its twin in another process needs."""

    event_type: str
    subject: str
    target: str
    registry: str | None
    created_at: str
    signer: bytes
    event_id: bytes
    signature: bytes

    @classmethod
    def of(cls, event: Event) -> Facts:
        return cls(
            event.event_type,
            event.subject,
            event.target,
            event.registry,
            event.created_at,
            canonical.encode_decoded(event.signer),
            event.event_id,
            event.signature,
        )

    def event(self, raw: bytes) -> Event:
        """Return the event whose bytes these facts were read from in another process of this program."""
        signer = _signer_of(self.signer)
        assert signer is not None
        return Event(
            self.event_type,
            self.subject,
            self.target,
            self.registry,
            self.created_at,
            signer,
            self.event_id,
            self.signature,
            raw,
        )


def from_value(value: Mapping[str, Any]) -> Event:
    """Read an event from a decoded JSON object; raises as `parse` does."""
    return _read(dict(value), canonical.encode(value))


def sign(
    key: SecretKey,
    *,
    event_type: str,
    subject: str,
    target: str,
    registry: str | None,
    nonce: str,
    created_at: str,
    signer_type: str,
    signer_id: str,
    payload: Mapping[str, Any],
    on_behalf_of: Mapping[str, str] | None = None,
) -> Event:
    """Build and sign an event; the result has passed the same checks as a submitted one."""
    signer: dict[str, Any] = {
        "signer_type": signer_type,
        "signer_id": signer_id,
        "key_id": key.key_id,
        "public_key_fingerprint": key.key_id[:32],
    }
    if on_behalf_of is not None:
        signer["on_behalf_of"] = dict(on_behalf_of)
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "event_type": event_type,
        "subject_pith_number": subject,
        "target": target,
        "registry": registry,
        "nonce": nonce,
        "created_at": created_at,
        "signer": signer,
        "payload": payload,
    }
    digest = hashlib.sha256(canonical.encode(body)).digest()
    signature = key.sign_event(digest)
    value = {**body, "event_id": f"sha256:{digest.hex()}", "signature_b64": encode_signature(signature)}
    return _read(value, canonical.encode_decoded(value), digest)


def verify_signature(event: Event, public_key: bytes) -> None:
    """Check that an event was signed by the holder of a 32-byte public key.

    Raises:
        WeakKeyError, SignatureInvalidError: it was not.
    """
    verify_event(public_key, event.event_id, event.signature)


def _read(value: Any, raw: bytes, digest: bytes | None = None) -> Event:
    if not isinstance(value, dict):
        raise NotJsonError("an event is a JSON object")
    if len(raw) > canonical.MAX_EVENT_BYTES:
        canonical.decode_canonical(raw)  # raises TooLargeError
    envelope = _convert(value, _Envelope, "")
    payload_type = PAYLOADS.get(envelope.event_type)
    if payload_type is None:
        raise UnknownTypeError(
            f"there is no event type {envelope.event_type!r}", place="event_type", cure=f"use one of {', '.join(TYPES)}"
        )
    signature = decode_signature(envelope.signature_b64, "signature_b64")
    digest = digest or hashlib.sha256(_body_of(raw)).digest()
    if envelope.event_id != f"sha256:{digest.hex()}":
        raise EventIdMismatchError(f"the body hashes to sha256:{digest.hex()}", place="event_id")
    if envelope.signer.public_key_fingerprint != envelope.signer.key_id[:32]:
        raise InvalidFieldError("not the first 32 digits of key_id", place="signer.public_key_fingerprint")
    check_time(envelope.created_at, "created_at")
    subject, target, registry, signer = (
        envelope.subject_pith_number,
        envelope.target,
        envelope.registry,
        envelope.signer,
    )
    _check_rules(envelope.event_type, subject, target, registry, signer)
    payload: Payload = _convert(envelope.payload, payload_type, "payload")
    return Event(
        envelope.event_type, subject, target, registry, envelope.created_at, signer, digest, signature, raw, payload
    )


def parse_quickly(raw: bytes) -> Event | None:
    """Read an event the short way (see `frames`); None where only the long way can tell what it is.

    Raises:
        MalformedError, SignerNotAllowedError: the first fault that the long way would find.
    """
    if len(raw) > canonical.MAX_EVENT_BYTES or (frame := frame_of(raw)) is None:
        return None
    payload = payload_of(frame.event_type, raw[frame.start : frame.stop])
    signer = _signer_of(frame.signer)
    if payload is None or signer is None or signer.public_key_fingerprint != signer.key_id[:32]:
        return None
    digest = frame.digest(raw)
    if digest.hex().encode() != frame.stated_id:
        return None
    check_time(frame.created_at, "created_at")
    _check_rules(frame.event_type, frame.subject, frame.target, frame.registry, signer)
    return _event(frame, signer, digest, raw, payload)


def _signer_of(text: bytes) -> Signer | None:
    """Read a signer block from its canonical bytes; the same few signers sign most of a log."""
    # None is longer, and what strangers send must not fill the memory.
    return _known_signer_of(text) if len(text) <= _MAX_SIGNER_BYTES else None


@lru_cache(maxsize=4_096)
def _known_signer_of(text: bytes) -> Signer | None:
    return canonical.decode_as(_SIGNERS, text)


def _event(frame: Frame, signer: Signer, digest: bytes, raw: bytes, payload: Payload | None) -> Event:
    return Event(
        frame.event_type,
        frame.subject,
        frame.target,
        frame.registry,
        frame.created_at,
        signer,
        digest,
        frame.signature,
        raw,
        payload,
    )


_ID_START, _ID_LENGTH = b',"event_id":"', len(',"event_id":"sha256:"') + 64
_SIGNATURE_START, _SIGNATURE_LENGTH = b',"signature_b64":"', len(',"signature_b64":""') + 88


def _body_of(raw: bytes) -> bytes:
    """Cut `event_id` and `signature_b64` out of an event's canonical bytes: what is left is the body's.

    This holds for any bytes that have passed as an envelope. Canonical order puts event_id right after
    created_at, and behind signature_b64 only strings whose forms are fixed, so none can imitate either.
    """
    id_at, signature_at = raw.index(_ID_START), raw.rindex(_SIGNATURE_START)
    return b"".join((raw[:id_at], raw[id_at + _ID_LENGTH : signature_at], raw[signature_at + _SIGNATURE_LENGTH :]))


def _check_rules(kind: str, subject: str, target: str, registry: str | None, signer: Signer) -> None:
    rules = TYPES[kind]
    if signer.signer_type not in rules.signers:
        raise SignerNotAllowedError(f"a {signer.signer_type} cannot sign {kind}", place="signer.signer_type")
    is_registry = subject.startswith("pith:registry:")
    form = rules.of_registry if is_registry else rules.of_record
    if form is None:
        wanted = "a registry's stream" if rules.of_record is None else "a paper"
        raise InvalidFieldError(f"{kind} is about {wanted}", place="subject_pith_number")
    if form == "event":
        valid = _ID.fullmatch(target) is not None
    elif form == "event-or-claim":
        valid = (_ID if target.startswith("sha256:") else _CLAIM).fullmatch(target) is not None
    else:
        valid = target == form
    if not valid:
        raise InvalidFieldError(f"{target!r} is not a target of {kind} about this subject", place="target")
    by_registry = signer.signer_type == "pith_registry"
    on_behalf = signer.on_behalf_of is not msgspec.UNSET
    if on_behalf and (not by_registry or rules.on_behalf == "never"):
        raise InvalidFieldError("only a registry signs for others, and not this", place="signer.on_behalf_of")
    if by_registry and rules.on_behalf == "must" and not on_behalf:
        raise MissingFieldError(f"a registry signs {kind} only on behalf of someone", place="signer.on_behalf_of")
    must_name = rules.names_registry or signer.signer_type != "contributor"
    if must_name and registry is None:
        raise MissingFieldError(f"{kind} by a {signer.signer_type} names the registry it is for", place="registry")
    if not must_name and registry is not None:
        raise InvalidFieldError("a contributor's attestation is portable: registry is null", place="registry")
    if is_registry and must_name and subject != f"pith:registry:{registry}":
        raise InvalidFieldError("the stream belongs to another registry", place="subject_pith_number")


_WHERE = "the README's protocol chapter lists what each event type holds"
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`")
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")


def _convert(value: Any, kind: type[Any], place: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _explain(str(error), place) from None


def _explain(message: str, place: str) -> MalformedError:
    path = found.group(1) if (found := _PATH.search(message)) else ""
    if path:
        place = f"{place}.{path}" if place else path
    message = _PATH.sub("", message)
    if found := _MISSING.search(message):
        name = found.group(1)
        return MissingFieldError(f"{name} is missing", place=f"{place}.{name}" if place else name, cure=_WHERE)
    if found := _UNKNOWN.search(message):
        name = found.group(1)
        return UnknownFieldError(f"{name} is not a field of this object", place=f"{place}.{name}" if place else name)
    return InvalidFieldError(message[:1].lower() + message[1:], place=place, cure=_WHERE)
