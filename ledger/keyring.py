"""Who held which key when, for whom: the history of keys, as collected from a registry's stream.

A `KeyHistory` is a set of facts, each with the position it was appended at. Adding facts in any order
gives the same history, and every question names the position it is asked for (`before`), so the same
object answers for the present and for any moment of the past.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

from ledger.errors import KeyExpiredError, KeyRevokedError, KeyRoleError, UnknownKeyError
from ledger.events import Entry
from ledger.keys import Role, key_id
from ledger.payloads import IdentityEvidence, KeyRegistered, KeyRevoked, KeyRotated, KeyStatement

MAX_REMEMBERED: Final = 100_000
MAX_USABLE: Final = 4_096
NOW: Final = 2**63 - 1
"""A position beyond every entry: asks for everything known."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A key as the log knows it: the statement it made, and which entry brought it in.

    `signed_by` is the key that signed that entry; `predecessor` the key it was rotated from.
    """

    position: int
    received_at: int
    signed_by: str
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

    @property
    def vouched_by(self) -> str:
        """The key on whose word this one is known; its own if it registered itself."""
        return self.predecessor or self.signed_by


@dataclass(frozen=True, slots=True)
class _Revocation:
    position: int
    received_at: int
    compromised_from: int | None
    signed_by: str
    by_registry: bool

    def covers(self, position: int, received_at: int) -> bool:
        """Say whether something signed by the revoked key is void: from a time on, or from the revocation on."""
        return position > self.position if self.compromised_from is None else received_at >= self.compromised_from


@dataclass(frozen=True, slots=True)
class _Proof:
    position: int
    received_at: int
    signed_by: str
    identifier: str


@dataclass(slots=True)
class KeyHistory:
    """All key facts of one registry's stream; `add` is the only way in."""

    _registrations: dict[str, Registration] = field(default_factory=dict)
    _revocations: dict[str, dict[int, _Revocation]] = field(default_factory=lambda: defaultdict(dict))
    _rotations: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    _proofs: dict[str, dict[int, _Proof]] = field(default_factory=lambda: defaultdict(dict))
    _by_fingerprint: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _standing: dict[tuple[int, int], bool] = field(default_factory=dict)
    _usable: dict[tuple[str, tuple[Role, ...], int], Registration] = field(default_factory=dict)
    _proven: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)
    _newest: int = -1

    def copy(self) -> KeyHistory:
        """Return a history that knows the same and learns on its own from here."""
        found = KeyHistory(dict(self._registrations))
        for name, at in self._revocations.items():
            found._revocations[name] = dict(at)
        for name, successors in self._rotations.items():
            found._rotations[name] = dict(successors)
        for name, proofs in self._proofs.items():
            found._proofs[name] = dict(proofs)
        for start, names in self._by_fingerprint.items():
            found._by_fingerprint[start] = set(names)
        found._newest = self._newest
        return found

    def add(self, entry: Entry) -> None:
        """Take in one key event or identity evidence; entries of other types are passed over."""
        payload, at, signer = entry.event.payload, entry.position, entry.event.signer
        self._standing, self._usable, self._proven = {}, {}, {}
        self._newest = max(self._newest, at)
        match payload:
            case KeyRegistered(statement=statement, source=source):
                self._register(entry, statement, source if isinstance(source, str) else None, None)
            case KeyRotated(rotation=rotation):
                successor = self._register(entry, rotation.statement, None, rotation.old_key_id)
                self._rotations[rotation.old_key_id][at] = successor
            case KeyRevoked(key_id=key, compromised_from=time):
                cut = None if time is None else microseconds(time)
                by_registry = signer.signer_type == "pith_registry"
                self._revocations[key][at] = _Revocation(at, entry.received_at, cut, signer.key_id, by_registry)
            case IdentityEvidence(key_id=str() as key, identifier=identifier):
                self._proofs[key][at] = _Proof(at, entry.received_at, signer.key_id, identifier)

    def find(self, key: str, before: int = NOW) -> Registration | None:
        """Return a key's registration if it was appended before a position."""
        found = self._registrations.get(key)
        return found if found and found.position < before else None

    def of_role(self, role: Role, before: int = NOW) -> list[Registration]:
        """Return the keys of a role that were registered before a position, in order of position."""
        found = [known for known in self._registrations.values() if known.role == role and known.position < before]
        return sorted(found, key=lambda known: known.position)

    def usable(self, key: str, roles: tuple[Role, ...], position: int, received_at: int) -> Registration:
        """Return the registration of a key that may sign an entry at this position and time.

        Raises:
            UnknownKeyError, KeyRoleError, KeyExpiredError, KeyRevokedError: why it may not.
        """
        if position <= self._newest:
            return self._judged(key, roles, position, received_at)
        # Past every fact the position decides nothing: what is received at one time is asked about once.
        known, asked = self._usable, (key, roles, received_at)
        found = known.get(asked)
        if found is None:
            found = self._judged(key, roles, position, received_at)
            if len(known) < MAX_USABLE:
                known[asked] = found
            else:
                self._usable = {}
        return found

    def _judged(self, key: str, roles: tuple[Role, ...], position: int, received_at: int) -> Registration:
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
        revocations = self._revocations.get(key, {}).values()
        if any(r.position < position and self._stands(r, position) for r in revocations):
            raise KeyRevokedError("the key was revoked", place="signer.key_id")
        if self._revocations and self._is_void(found, position):
            raise KeyRevokedError("the key that vouched for this one was compromised", place="signer.key_id")
        return found

    def is_cut(self, key: str, position: int, received_at: int, before: int = NOW) -> bool:
        """Say whether something a key signed is void, by revocations appended before a position.

        A revocation voids what the log received at or after `compromised_from`, or past the revocation
        itself when that is null; a confirmed anchor over an entry is never earlier than its `received_at`.
        A key whose own registration is void (see `_is_void`) signs nothing that stands.
        """
        return bool(self._revocations) and self._cut(key, position, received_at, -1, before)

    def identifiers(self, key: str, before: int = NOW) -> frozenset[str]:
        """Return the identifiers proven for a key or another of its rotation line, as `orcid:0000-0002-1825-0097`."""
        known, asked = self._proven, (key, before)
        found = known.get(asked)
        if found is None:
            found = self._identifiers(key, before)
            if len(known) < MAX_USABLE:
                known[asked] = found
            else:
                self._proven = {}
        return found

    def _identifiers(self, key: str, before: int) -> frozenset[str]:
        return frozenset(
            proof.identifier
            for name in self._line(key, before)
            for proof in self._proofs.get(name, {}).values()
            if proof.position < before and not self.is_cut(proof.signed_by, proof.position, proof.received_at, before)
        )

    def same_person(self, one: str, other: str, signer_id: str, before: int = NOW) -> bool:
        """Say whether two keys that name the same signer_id are shown to be one person's.

        Naming somebody's identifier proves nothing, or anybody could register a key and withdraw what
        another signed: the keys must be equal, linked by rotation, or both proven for the identifier.
        """
        if self._first(one, before) == self._first(other, before):
            return True
        return signer_id in self.identifiers(one, before) and signer_id in self.identifiers(other, before)

    def person(self, key: str, signer_id: str, before: int = NOW) -> str:
        """Return a name that two signatures share only if `same_person` would say so of their keys."""
        if signer_id in self.identifiers(key, before):
            return signer_id
        return self._first(key, before)

    def rotations(self, key: str) -> int:
        """Return how many rotations lie behind a key."""
        return len(self._ancestry(key)) - 1

    def lineage(self, key: str) -> int:
        """Return how many rotations and registrations by other keys lie between a key and one that came by itself."""
        hops, found = 0, self.find(key)
        while found and found.vouched_by != found.key_id:
            hops, found = hops + 1, self.find(found.vouched_by, found.position)
        return hops

    def concerned(self, key: str) -> set[str]:
        """Return the keys whose verdicts may change with what is known of a key.

        These are the keys of its rotation line, those that any of these vouched for or revoked, and so on.
        """
        found, fresh = {key}, [key]
        while fresh:
            name = fresh.pop()
            near = {*self._ancestry(name), *self._rotations.get(name, {}).values()}
            near |= {
                registration.key_id for registration in self._registrations.values() if registration.signed_by == name
            }
            near |= {
                revoked
                for revoked, known in self._revocations.items()
                if any(r.signed_by == name for r in known.values())
            }
            fresh += near - found
            found |= near
        return found

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

    def _register(self, entry: Entry, statement: KeyStatement, source: str | None, predecessor: str | None) -> str:
        name = key_id(bytes.fromhex(statement.public_key))
        known = self._registrations.get(name)
        if known is None or entry.position < known.position:
            signed_by = entry.event.signer.key_id
            self._registrations[name] = Registration(
                entry.position, entry.received_at, signed_by, statement, name, source, predecessor
            )
            self._by_fingerprint[name[:32]].add(name)
        return name

    def _cut(self, key: str, position: int, received_at: int, after: int, before: int) -> bool:
        """Say whether something a key signed is void, by revocations appended between two positions."""
        return any(self._stands(r, before) for r in self._voiding(key, position, received_at, after, before))

    def _stands(self, revocation: _Revocation, before: int) -> bool:
        """Say whether a revocation was not signed by a key that turned out to be compromised by then.

        Only what was appended after a revocation can undo it, so each question asks about a shorter log.
        Whoever holds an event key for a moment can append a chain of any length: no question may recurse.
        """
        if len(self._standing) > MAX_REMEMBERED:
            self._standing = {}  # another thread may be reading the old one
        known = self._standing
        asked = [] if (revocation.position, before) in known else [(revocation, self._undoing(revocation, before))]
        while asked:
            one, undoing = asked[-1]
            for other in undoing:
                stands = known.get((other.position, before))
                if stands is None:
                    asked.append((other, self._undoing(other, before)))
                    break
                if stands:
                    known[one.position, before] = False
                    asked.pop()
                    break
            else:
                known[one.position, before] = True
                asked.pop()
                if asked:
                    undone, _ = asked.pop()
                    known[undone.position, before] = False
        return known[revocation.position, before]

    def _undoing(self, revocation: _Revocation, before: int) -> Iterator[_Revocation]:
        """Yield the later revocations any of which, if it stands, undoes a revocation."""
        at, received_at = revocation.position, revocation.received_at
        return self._voiding(revocation.signed_by, at, received_at, at, before)

    def _voiding(self, key: str, position: int, received_at: int, after: int, before: int) -> Iterator[_Revocation]:
        """Yield the revocations between two positions any of which, if it stands, voids what a key signed."""
        for revocation in self._revocations.get(key, {}).values():
            if after < revocation.position < before and revocation.covers(position, received_at):
                yield revocation
        if registration := self.find(key, before):
            yield from self._unmaking(registration, after, before)

    def _is_void(self, registration: Registration, before: int) -> bool:
        """Say whether a key was brought in by a key that was compromised already."""
        return any(self._stands(revocation, before) for revocation in self._unmaking(registration, -1, before))

    def _unmaking(self, registration: Registration, after: int, before: int) -> Iterator[_Revocation]:
        """Yield the revocations between two positions any of which, if it stands, voids a key's registration.

        A thief who holds a key can rotate it to one of their own: once the registry revokes the stolen
        key from a time before that, the rotation is void. Only the registry's word does this, or a thief
        with an old key could unmake its holder's new one; and never the word of the new key itself.
        """
        found: Registration | None = registration
        while found and (voucher := found.vouched_by) != found.key_id:
            for revocation in self._revocations.get(voucher, {}).values():
                if (
                    after < revocation.position < before
                    and revocation.covers(found.position, found.received_at)
                    and (found.predecessor is None or self._may_unmake(revocation, found))
                ):
                    yield revocation
            found = self.find(voucher, found.position)

    def _may_unmake(self, revocation: _Revocation, rotated: Registration) -> bool:
        return revocation.by_registry and rotated.key_id not in self._ancestry(revocation.signed_by)

    def _ancestry(self, key: str) -> list[str]:
        """Return a key and those it was rotated from, newest first; positions fall, so this ends."""
        found = [key]
        while (registration := self._registrations.get(found[-1])) and registration.predecessor:
            found.append(registration.predecessor)
        return found

    def _first(self, key: str, before: int) -> str:
        """Return the key that a rotation line began with, as far back as its rotations stand."""
        while (registration := self.find(key, before)) and registration.predecessor:
            if self._is_void(registration, before):
                break
            key = registration.predecessor
        return key

    def _line(self, key: str, before: int) -> list[str]:
        """Return all keys of a rotation line, first to last, as far as the rotations stand."""
        found = [self._first(key, before)]
        while True:
            successors = (
                registration
                for at, name in self._rotations.get(found[-1], {}).items()
                if at < before
                and (registration := self.find(name, before))
                and registration.predecessor == found[-1]
                and not self._is_void(registration, before)
            )
            successor = min(successors, key=lambda registration: registration.position, default=None)
            if successor is None:
                return found
            found.append(successor.key_id)


@lru_cache(maxsize=1_024)
def microseconds(time: str) -> int:
    """Return a `YYYY-MM-DDTHH:MM:SSZ` instant as microseconds since 1970."""
    return round(datetime.fromisoformat(time).timestamp()) * 1_000_000
