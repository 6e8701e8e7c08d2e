"""Signing as somebody: fills in what an event's type and a key's registration already decide."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.appending import Clock
from ledger.commitments import Disclosure, hide
from ledger.errors import KeyRoleError, UnknownTypeError, UsageError
from ledger.events import TYPES, Event, sign
from ledger.keys import Role, SecretKey, encode_signature
from ledger.signatures import digest_of
from ledger.subjects import registry_subject
from ledger.times import seconds

Randomness = Callable[[int], bytes]
_SIGNER_TYPES: Final[Mapping[Role, str]] = {
    "event": "pith_registry",
    "contributor": "contributor",
    "storage_checker": "contributor",
    "moderator": "moderator",
}


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A secret key and whose it is; `registry` is the registry it is meant for."""

    key: SecretKey
    registry: str
    signer_id: str
    role: Role


@dataclass(frozen=True, slots=True)
class Signatory:
    """A held key with a clock (microseconds, UTC) and a source of randomness."""

    held: HeldKey
    clock: Clock
    random: Randomness

    @property
    def key(self) -> SecretKey:
        return self.held.key

    def sign(
        self,
        event_type: str,
        subject: str,
        payload: Mapping[str, Any],
        *,
        target: str | None = None,
        on_behalf_of: Mapping[str, str] | None = None,
    ) -> tuple[Event, dict[str, Disclosure]]:
        """Sign a statement; private texts are given plain and come back as disclosures.

        Args:
            subject: a full Pith Number or `registry`.
            target: needed only where the type leaves a choice, such as the event that is decided on.
            on_behalf_of: whom a registry signs for, as {kind, subject}; nobody else can sign for others.

        Raises:
            SubmissionError, UsageError: what is wrong with it.
        """
        rules = TYPES.get(event_type)
        if rules is None:
            raise UnknownTypeError(f"there is no event type {event_type!r}", cure=f"use one of {', '.join(TYPES)}")
        signer_type = _SIGNER_TYPES.get(self.held.role)
        if signer_type is None:
            raise KeyRoleError(f"a {self.held.role} key signs no events")
        if subject == "registry":
            subject = registry_subject(self.held.registry)
        word = rules.of_registry if subject.startswith("pith:registry:") else rules.of_record
        if target is None:
            if word in (None, "event", "event-or-claim"):
                raise UsageError(f"{event_type} needs a target", cure="give --target sha256:… (see `pith history`)")
            target = word
        hidden, disclosures = hide(event_type, payload, lambda: self.random(32))
        event = sign(
            self.key,
            event_type=event_type,
            subject=subject,
            target=target or "",
            registry=self.held.registry if rules.names_registry or signer_type != "contributor" else None,
            nonce=self.nonce(),
            created_at=self.now(),
            signer_type=signer_type,
            signer_id=self.held.signer_id,
            payload=hidden,
            on_behalf_of=on_behalf_of,
        )
        return event, disclosures

    def statement(self) -> dict[str, Any]:
        """Return the payload of key_registered for this key: its statement, signed by itself."""
        statement = {
            "registry": self.held.registry,
            "public_key": self.key.public_key.hex(),
            "signer_id": self.held.signer_id,
            "role": self.held.role,
            "not_before": self.now(),
            "not_after": None,
            "nonce": self.nonce(),
        }
        signature = self.key.sign_statement(digest_of(statement))
        return {"statement": statement, "statement_signature_b64": encode_signature(signature)}

    def rotation(self, successor: Signatory) -> dict[str, Any]:
        """Return the payload of key_rotated from this key to another; both sign it."""
        rotation = {
            "registry": self.held.registry,
            "old_key_id": self.key.key_id,
            "statement": successor.statement()["statement"],
            "nonce": self.nonce(),
        }
        digest = digest_of(rotation)
        return {
            "rotation": rotation,
            "old_signature_b64": encode_signature(self.key.sign_statement(digest)),
            "new_signature_b64": encode_signature(successor.key.sign_statement(digest)),
        }

    def nonce(self) -> str:
        return base64.urlsafe_b64encode(self.random(16)).decode().rstrip("=")

    def now(self) -> str:
        return seconds(self.clock())


def foreign_key(label: str, public_key: str, registry: str, source: str, now: str, nonce: str) -> dict[str, Any]:
    """Return the payload of key_registered for another registry's receipt key (hex) from its source (a URL)."""
    statement = {
        "registry": registry,
        "public_key": public_key,
        "signer_id": f"receipt-key:{label}",
        "role": "foreign_receipt",
        "not_before": now,
        "not_after": None,
        "nonce": nonce,
        "label": label,
    }
    return {"statement": statement, "statement_signature_b64": None, "source": source}
