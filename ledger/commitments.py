"""Private text: in the signed body only as a salted commitment, beside it as a deletable disclosure.

A commitment is hex(sha256(salt || utf8(text))) with 32 random bytes of salt for each field. Who has salt
and text can check it; who has neither learns nothing, so deleting both redacts the text while every
hash, signature and proof over the event still holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec

from ledger.errors import CommitmentMismatchError, InvalidFieldError

MAX_TEXT_BYTES: Final = 16_384

PRIVATE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "author_attestation": ("statement",),
    "citation_signature": ("quote",),
    "replication_record": ("formal.statement",),
    "challenge": ("text", "evidence"),
    "challenge_response": ("text", "evidence"),
    "withdrawal": ("reason",),
    "moderation_decision": ("reason",),
    "key_revoked": ("reason",),
    "identity_evidence": ("evidence",),
}
"""Where each event type holds commitments, as dotted paths inside the payload."""


class Disclosure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The text behind a commitment and its salt (32 bytes, base64url without padding)."""

    salt: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]
    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_BYTES)]


def commit(salt: bytes, text: str) -> str:
    """Return the hex commitment to a text under 32 bytes of salt."""
    if len(salt) != 32:
        raise InvalidFieldError(f"a salt has 32 bytes, this has {len(salt)}")
    return hashlib.sha256(salt + text.encode()).hexdigest()


def hide(
    event_type: str, payload: Mapping[str, Any], new_salt: Callable[[], bytes]
) -> tuple[dict[str, Any], dict[str, Disclosure]]:
    """Replace the plain private texts of a payload by commitments.

    Returns the payload to sign and the disclosures, by path, that let others check the texts.
    """
    hidden = _copy(payload) if event_type in PRIVATE_FIELDS else dict(payload)
    disclosures: dict[str, Disclosure] = {}
    for path, holder, name in _private(event_type, hidden):
        text = holder[name]
        if not isinstance(text, str):
            raise InvalidFieldError("private text is a string", place=f"payload.{path}")
        salt = new_salt()
        disclosures[path] = Disclosure(base64.urlsafe_b64encode(salt).decode().rstrip("="), text)
        holder[name] = commit(salt, text)
    return hidden, disclosures


def check_disclosures(event_type: str, payload: Mapping[str, Any], disclosures: Mapping[str, Disclosure]) -> None:
    """Check that each disclosed text is the one its event commits to.

    Raises:
        InvalidFieldError: a path that holds no commitment, a malformed salt or too long a text.
        CommitmentMismatchError: another text or salt.
    """
    if not disclosures:
        return
    places = {path: holder[name] for path, holder, name in _private(event_type, payload)}
    for path, disclosure in disclosures.items():
        place = f"disclosures.{path}"
        if path not in places:
            raise InvalidFieldError("the event commits to no text here", place=place)
        if len(disclosure.text.encode()) > MAX_TEXT_BYTES:
            raise InvalidFieldError(f"more than {MAX_TEXT_BYTES} bytes of text", place=place)
        if commit(decode_salt(disclosure.salt, place), disclosure.text) != places[path]:
            raise CommitmentMismatchError("text and salt do not hash to the commitment", place=place)


def decode_salt(text: str, place: str) -> bytes:
    """Parse the base64url of 32 bytes; exactly one spelling is accepted.

    Raises:
        InvalidFieldError: another length or spelling.
    """
    try:
        salt = base64.urlsafe_b64decode(text + "=")
    except (binascii.Error, ValueError):
        salt = b""
    if len(salt) != 32 or base64.urlsafe_b64encode(salt).decode().rstrip("=") != text:
        raise InvalidFieldError("not the base64url of 32 bytes", place=place)
    return salt


def _private(event_type: str, payload: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    for path in PRIVATE_FIELDS.get(event_type, ()):
        *parents, name = path.split(".")
        holder: Any = payload
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, Mapping) else None
        if isinstance(holder, Mapping) and holder.get(name) is not None:
            yield path, holder, name


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
