"""Who held which key when, for whom: the history of keys, as collected from a registry's stream.

A `KeyHistory` is a set of facts, each with the position it was appended at. Adding facts in any order
gives the same history, and every question names the position it is asked for (`before`), so the same
object answers for the present and for any moment of the past.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ledger.errors import KeyExpiredError, KeyRevokedError, KeyRoleError, UnknownKeyError
from ledger.events import Entry
from ledger.keys import Role, key_id
from ledger.payloads import IdentityEvidence, KeyRegistered, KeyRevoked, KeyRotated, KeyStatement

NOW: Final = 2**63 - 1
"""A position beyond every entry: asks for everything known."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A key as the log knows it: the statement it made and where that was appended."""

    position: int
    received_at: int
    statement: KeyStatement
    key_id: str
    source: str | None
    predecessor: str | None

    @property
    def role(self) -> Role:
        return self.statement.role

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes."""
        return bytes.fromhex(self.statement.public_key)


@dataclass(slots=True)
class KeyHistory:
    """All key facts of one registry's stream; `add` is the only way in."""

    _registrations: dict[str, Registration] = field(default_factory=dict)
    _revocations: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    _rotations: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    _identities: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    _by_fingerprint: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, entry: Entry) -> None:
        """Take in one key event or identity evidence; entries of other types are passed over."""
        payload = entry.event.payload
        match payload:
            case KeyRegistered():
                self._register(
                    entry, payload.statement, payload.source if isinstance(payload.source, str) else None, None
                )
            case KeyRotated():
                rotation = payload.rotation
                successor = self._register(entry, rotation.statement, None, rotation.old_key_id)
                self._rotations[rotation.old_key_id][entry.position] = successor
            case KeyRevoked():
                cut = entry.received_at if payload.compromised_from is None else microseconds(payload.compromised_from)
                self._revocations[payload.key_id][entry.position] = cut
            case IdentityEvidence() if isinstance(payload.key_id, str):
                self._identities[payload.key_id][entry.position] = payload.identifier

    def find(self, key: str, before: int = NOW) -> Registration | None:
        """Return a key's registration if it was appended before a position."""
        found = self._registrations.get(key)
        return found if found and found.position < before else None

    def usable(self, key: str, roles: tuple[Role, ...], position: int, received_at: int) -> Registration:
        """Return the registration of a key that may sign an entry at this position and time.

        Raises:
            UnknownKeyError, KeyRoleError, KeyExpiredError, KeyRevokedError: why it may not.
        """
        found = self.find(key, position)
        if found is None:
            raise UnknownKeyError(f"the key {key[:16]}… is not registered here", place="signer.key_id")
        statement = found.statement
        if statement.role not in roles:
            raise KeyRoleError(f"a {statement.role} key cannot sign this", place="signer.key_id")
        if received_at < microseconds(statement.not_before):
            raise KeyExpiredError(f"the key is valid only from {statement.not_before}", place="signer.key_id")
        if statement.not_after is not None and received_at > microseconds(statement.not_after):
            raise KeyExpiredError(f"the key expired at {statement.not_after}", place="signer.key_id")
        if any(at < position for at in self._rotations.get(key, ())):
            raise KeyExpiredError("the key was rotated: its successor signs now", place="signer.key_id")
        if any(at < position for at in self._revocations.get(key, ())):
            raise KeyRevokedError("the key was revoked", place="signer.key_id")
        return found

    def is_cut(self, key: str, received_at: int, before: int = NOW) -> bool:
        """Say whether a revocation appended before a position voids what the key signed at a time.

        The cut is `compromised_from`, or the revocation's own `received_at`. What the log received before
        it still counts; a confirmed anchor over an entry is never earlier than its `received_at`.
        """
        cuts = self._revocations.get(key, {})
        return any(at < before and received_at >= cut for at, cut in cuts.items())

    def identifiers(self, key: str, before: int = NOW) -> frozenset[str]:
        """Return the identifiers proven for a key, such as `orcid:0000-0002-1825-0097`."""
        return frozenset(value for at, value in self._identities.get(key, {}).items() if at < before)

    def same_person(self, one: str, other: str, signer_id: str, before: int = NOW) -> bool:
        """Say whether two keys that name the same signer_id are shown to be one person's.

        Naming somebody's identifier proves nothing, or anybody could register a key and withdraw what
        another signed: the keys must be equal, linked by rotation, or both proven for the identifier.
        """
        if one == other or self._line(one, before) & self._line(other, before):
            return True
        return signer_id in self.identifiers(one, before) and signer_id in self.identifiers(other, before)

    def person(self, key: str, signer_id: str, before: int = NOW) -> str:
        """Return a name that two signatures share only if `same_person` would say so of their keys."""
        if signer_id in self.identifiers(key, before):
            return signer_id
        line = [found for name in self._line(key, before) if (found := self.find(name, before))]
        return min(line, key=lambda found: found.position).key_id if line else key

    def receipt_key(self, label: str, fingerprint: str, before: int = NOW) -> Registration:
        """Return the receipt key that a pith_receipt names by key id or foreign label, and fingerprint.

        Raises:
            UnknownKeyError: no receipt or foreign_receipt key is registered under both.
        """
        for key in sorted(self._by_fingerprint.get(fingerprint, ())):
            found = self.find(key, before)
            if found and found.role in ("receipt", "foreign_receipt") and label in (key, found.statement.label):
                return found
        raise UnknownKeyError(
            f"no receipt key {label!r} with fingerprint {fingerprint} is registered",
            place="payload.pith_receipt.key_id",
            cure="register the foreign registry's key: `pith import --key LABEL=HEX FILE`",
        )

    def all(self, before: int = NOW) -> list[Registration]:
        """Return every registration before a position, in order of position."""
        return sorted((r for r in self._registrations.values() if r.position < before), key=lambda r: r.position)

    def _register(self, entry: Entry, statement: KeyStatement, source: str | None, predecessor: str | None) -> str:
        public_key = bytes.fromhex(statement.public_key)
        found = Registration(entry.position, entry.received_at, statement, key_id(public_key), source, predecessor)
        known = self._registrations.get(found.key_id)
        if known is None or found.position < known.position:
            self._registrations[found.key_id] = found
            self._by_fingerprint[found.key_id[:32]].add(found.key_id)
        return found.key_id

    def _line(self, key: str, before: int) -> set[str]:
        found = {key}
        while (registration := self.find(key, before)) and registration.predecessor not in (None, *found):
            key = registration.predecessor or ""
            found.add(key)
        return found


def microseconds(time: str) -> int:
    """Return a `YYYY-MM-DDTHH:MM:SSZ` instant as microseconds since 1970."""
    return round(datetime.fromisoformat(time).timestamp()) * 1_000_000
