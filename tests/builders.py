"""Signed events for tests: valid by default, so that a test states only the one thing it changes.

Everything is deterministic: keys come from names and nonces from a counter.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger import canonical, records, subjects
from ledger.commitments import Disclosure, commit
from ledger.events import TYPES, Event, sign
from ledger.keys import SecretKey, encode_signature
from ledger.registry import DEFAULT_POLICY
from ledger.signatures import digest_of, issue_receipt
from tests.holders import proved
from tests.simulators import pending_anchor

REGISTRY: Final = "test.registry"
OPENED: Final = "2026-06-19T16:00:00Z"
SALT: Final = hashlib.sha256(b"salt").digest()
SALT_TEXT: Final = base64.urlsafe_b64encode(SALT).decode().rstrip("=")
HASH: Final = hashlib.sha256(b"some content").hexdigest()
SESSION: Final = {"kind": "session", "subject": hashlib.sha256(b"one session").hexdigest()}


def key(name: str) -> SecretKey:
    """Return the key that belongs to a name."""
    return SecretKey(hashlib.sha256(name.encode()).digest())


def nonce(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(16, "big")).decode().rstrip("=")


def secret(text: str) -> str:
    """Return the commitment to a private text under `SALT`; `disclosed` is what opens it."""
    return commit(SALT, text)


def disclosed(text: str) -> Disclosure:
    return Disclosure(SALT_TEXT, text)


@dataclass(frozen=True, slots=True)
class Who:
    """A key and the identity that signs with it."""

    key: SecretKey
    signer_type: str
    signer_id: str


def contributor(name: str, signer_id: str | None = None) -> Who:
    return Who(key(name), "contributor", signer_id or f"name:{name}")


ALICE: Final = contributor("alice", "orcid:0000-0002-1825-0097")
BOB: Final = contributor("bob")
CHECKER: Final = contributor("checker")
MODERATOR: Final = Who(key("moderator"), "moderator", "name:moderator")
CAROL: Final = contributor("carol")
"""Somebody whose key no log knows from the start."""

MALLORY: Final = contributor("mallory", ALICE.signer_id)
"""Somebody who names Alice's identifier and has proven nothing."""

SUCCESSOR: Final = Who(key("successor"), "contributor", ALICE.signer_id)
"""Alice with the key that follows her first."""


def as_signer(who: Who, signer_type: str) -> Who:
    """Return somebody who signs with the same key as another type of signer."""
    return Who(who.key, signer_type, who.signer_id)


def a_record(
    title: str = "On the Counting of Papers",
    abstract: str = "We count papers, and then we count again.",
    *,
    kind: str = "arxiv",
    ident: str = "2606.00001",
    version: int = 1,
    categories: tuple[str, ...] = ("cs.DL", "cs.CR"),
    license: str = "",
    submitted_at: str = "2026-06-01T08:00:00Z",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a canonical record and the paper block that belongs to it."""
    record = records.canonical_record(
        kind=kind,
        ident=ident,
        version=version,
        title=title,
        abstract=abstract,
        categories=categories,
        license=license,
        submitted_at=submitted_at,
    )
    return record, {"title": title, "authors": ["A. Author", "B. Author"], "abstract": abstract}


RECORD, PAPER = a_record()
NUMBER: Final = records.identify(RECORD).number
SHA256: Final = records.identify(RECORD).digest.hex()

OTHER_RECORD, OTHER_PAPER = a_record(title="Another paper", ident="2606.00003")
OTHER_NUMBER: Final = records.identify(OTHER_RECORD).number


def seal(body: Mapping[str, Any], signer: SecretKey) -> dict[str, Any]:
    """Put the right id and signature on a body that may be wrong in any other way."""
    digest = hashlib.sha256(canonical.encode(body)).digest()
    signature = encode_signature(signer.sign_event(digest))
    return {**body, "event_id": f"sha256:{digest.hex()}", "signature_b64": signature}


class World:
    """One registry and the people around it; each method returns a signed event of one type."""

    def __init__(self, name: str = REGISTRY) -> None:
        self.name = name
        self.subject = subjects.registry_subject(name)
        self.registry = Who(key(f"{name} event"), "pith_registry", f"registry:{name}")
        self.receipt = Who(key(f"{name} receipt"), "pith_registry", f"registry:{name}")
        self.log = Who(key(f"{name} log"), "pith_registry", f"registry:{name}")
        self._numbers = itertools.count()

    def next_nonce(self) -> str:
        return nonce(next(self._numbers))

    def event(
        self,
        who: Who,
        event_type: str,
        payload: Mapping[str, Any],
        *,
        subject: str | None = None,
        target: str | None = None,
        created_at: str = OPENED,
        on_behalf_of: Mapping[str, str] | None = None,
    ) -> Event:
        """Sign an event; target and registry follow from the type where it leaves no choice."""
        rules = TYPES[event_type]
        subject = subject or (self.subject if rules.of_record is None else NUMBER)
        if target is None:
            target = (rules.of_registry if subject.startswith("pith:registry:") else rules.of_record) or ""
        named = rules.names_registry or who.signer_type != "contributor"
        return sign(
            who.key,
            event_type=event_type,
            subject=subject,
            target=target,
            registry=self.name if named else None,
            nonce=self.next_nonce(),
            created_at=created_at,
            signer_type=who.signer_type,
            signer_id=who.signer_id,
            payload=payload,
            on_behalf_of=on_behalf_of,
        )

    # Keys and policy: the registry's own stream.

    def statement(self, who: Who, role: str, **changes: Any) -> dict[str, Any]:
        return {
            "registry": self.name,
            "public_key": who.key.public_key.hex(),
            "signer_id": who.signer_id,
            "role": role,
            "not_before": "2026-01-01T00:00:00Z",
            "not_after": None,
            "nonce": self.next_nonce(),
            **changes,
        }

    def registration(
        self,
        who: Who,
        role: str = "contributor",
        *,
        by: Who | None = None,
        stated_by: SecretKey | None = None,
        **changes: Any,
    ) -> Event:
        """Register a key: a contributor's by itself, any other by the registry; `changes` are the statement's."""
        statement = self.statement(who, role, **changes)
        signature = (stated_by or who.key).sign_statement(digest_of(statement))
        payload = {"statement": statement, "statement_signature_b64": encode_signature(signature)}
        return self.event(by or (who if role == "contributor" else self.registry), "key_registered", payload)

    def root(self, **changes: Any) -> Event:
        return self.registration(self.registry, "event", **changes)

    def foreign_receipt_key(self, foreign: SecretKey, label: str, **changes: Any) -> Event:
        who = Who(foreign, "pith_registry", f"receipt-key:{label}")
        payload = {
            "statement": self.statement(who, "foreign_receipt", label=label),
            "statement_signature_b64": None,
            "source": "https://pith.science/keys.json",
            **changes,
        }
        return self.event(self.registry, "key_registered", payload)

    def rotation(
        self,
        old: Who,
        new: Who,
        role: str = "contributor",
        *,
        by: Who | None = None,
        new_consent: SecretKey | None = None,
        made_for: str | None = None,
        **changes: Any,
    ) -> Event:
        """Rotate a key to a successor; both consent, the old one signs the event."""
        rotation = {
            "registry": made_for or self.name,
            "old_key_id": old.key.key_id,
            "statement": self.statement(new, role, **changes),
            "nonce": self.next_nonce(),
        }
        digest = digest_of(rotation)
        payload = {
            "rotation": rotation,
            "old_signature_b64": encode_signature(old.key.sign_statement(digest)),
            "new_signature_b64": encode_signature((new_consent or new.key).sign_statement(digest)),
        }
        return self.event(by or old, "key_rotated", payload)

    def revocation(self, who: Who, *, by: Who | None = None, compromised_from: str | None = None) -> Event:
        payload = {"key_id": who.key.key_id, "compromised_from": compromised_from, "reason": secret("lost laptop")}
        return self.event(by or who, "key_revoked", payload)

    def policy(self, *, by: Who | None = None, **changes: Any) -> Event:
        return self.event(by or self.registry, "policy_set", {**DEFAULT_POLICY, **changes})

    def moderation_policy(self, **changes: str) -> Event:
        return self.policy(moderation={**DEFAULT_POLICY["moderation"], **changes})

    def proof_of_identity(self, who: Who, identifier: str | None = None, **changes: Any) -> Event:
        """Say that an identifier (by default the one the key was registered with) was proven for a key."""
        payload = {
            "identifier": identifier or who.signer_id,
            "method": "orcid-oauth",
            "evidence": secret("the token that the provider gave"),
            "proven_at": OPENED,
            "key_id": who.key.key_id,
            **changes,
        }
        return self.event(self.registry, "identity_evidence", payload, subject=self.subject)

    # Papers: what the registry says of them.

    def record_created(
        self,
        record: Mapping[str, Any] = RECORD,
        paper: Mapping[str, Any] = PAPER,
        *,
        subject: str | None = None,
        receipt_key: SecretKey | None = None,
        **changes: Any,
    ) -> Event:
        identity = records.identify(record)
        source = record["source"]
        aliases = subjects.source_aliases(source["kind"], source["id"], source["version"], identity.suffix)
        payload = {
            "canonical_record": record,
            "canonical_sha256": identity.digest.hex(),
            "pith_receipt": issue_receipt(
                receipt_key or self.receipt.key, identity.digest, "2026-06-19T16:00:00.000000Z"
            ),
            "paper": paper,
            "aliases": [{"alias_kind": alias.kind, "alias_value": alias.value} for alias in aliases],
            **changes,
        }
        return self.event(self.registry, "record_created", payload, subject=subject or identity.number)

    def about(self, event_type: str, payload: Mapping[str, Any], subject: str = NUMBER) -> Event:
        """Let the registry say something about a paper."""
        return self.event(self.registry, event_type, payload, subject=subject)

    def record_updated(self, subject: str = NUMBER, **payload: Any) -> Event:
        return self.about("record_updated", payload or {"paper": {"headline": "Counted"}}, subject)

    def graph_snapshot(self, subject: str = NUMBER, **payload: Any) -> Event:
        return self.about("graph_snapshot", payload or {"paper_claims": []}, subject)

    def alias_added(self, kind: str = "acl", value: str = "P19-1234", subject: str = NUMBER) -> Event:
        return self.about("alias_added", {"alias_kind": kind, "alias_value": value}, subject)

    def author_identity(self, identifier: str = ALICE.signer_id, **changes: Any) -> Event:
        payload = {
            "identifier": identifier,
            "method": "crossref",
            "evidence": secret("the deposit"),
            "proven_at": OPENED,
            "author_name": "A. Author",
            "author_position": 1,
            **changes,
        }
        return self.about("identity_evidence", payload)

    def finding(self, **changes: Any) -> Event:
        payload = {
            "detector": "doi_compliance",
            "detector_version": "1.0.0",
            "finding_type": "broken_doi",
            "verdict_class": "incontrovertible",
            "severity": "advisory",
            "arxiv_id": "2606.00001",
            "evidence_hash": HASH,
            "evidence": {"doi": "10.1000/missing"},
            "audited_at": OPENED,
            **changes,
        }
        return self.about("integrity_finding", payload)

    def finding_rescinded(self) -> Event:
        return self.about("integrity_rescinded", {"evidence_hash": HASH, "note": "it resolves now"})

    # Papers: what anybody says of them.

    def anchor(self, who: Who | None = None, subject: str = NUMBER, **changes: Any) -> Event:
        sha256 = changes.get("anchored", {}).get("sha256", SHA256)
        payload = {
            "anchored": {"what": "record", "sha256": sha256},
            "method": "opentimestamps",
            "service": "https://calendar.example.org",
            "proof_b64": base64.b64encode(
                pending_anchor(bytes.fromhex(sha256), "https://calendar.example.org")
            ).decode(),
            "status": "pending",
            **changes,
        }
        return self.event(who or self.registry, "timestamp_anchor", payload, subject=subject)

    def checkpoint_anchor(self, tree_size: int = 1, **changes: Any) -> Event:
        anchored = {"what": "checkpoint", "sha256": HASH, "tree_size": tree_size}
        return self.anchor(subject=self.subject, **{"anchored": anchored, **changes})

    def storage(self, who: Who = ALICE, **changes: Any) -> Event:
        payload = {
            "location": {"kind": "wayback", "url": "https://web.archive.org/web/2026/https://arxiv.org/abs/2606.00001"},
            "captured_at": OPENED,
            "grade": "claimed",
            "outcome": "stored",
            "content": {"sha256": HASH, "bytes": 12, "media_type": "application/pdf"},
            **(proved() if changes.get("grade") == "proved" else {}),
            **changes,
        }
        return self.event(who, "storage_attestation", payload)

    def author(self, who: Who = ALICE, *, on_behalf_of: Mapping[str, str] | None = None, **changes: Any) -> Event:
        payload = {"author_name": "A. Author", "statement": secret("I wrote this."), **changes}
        return self.event(who, "author_attestation", payload, on_behalf_of=on_behalf_of)

    def citation(self, who: Who = ALICE, **changes: Any) -> Event:
        payload = {"citing": "arxiv:2606.00002", "relationship": "supports", **changes}
        return self.event(who, "citation_signature", payload)

    def replication(self, who: Who = ALICE, **changes: Any) -> Event:
        payload = {
            "kind": "replication",
            "outcome": "reproduced",
            "artefacts": [{"url": "https://example.org/run.tar", "sha256": HASH}],
            **changes,
        }
        return self.event(who, "replication_record", payload)

    def challenge(self, target: Event | str = "C1", who: Who = ALICE, **changes: Any) -> Event:
        payload = {"about": "the count", "text": secret("It is off by one."), **changes}
        return self.event(who, "challenge", payload, target=_target(target))

    def response(self, target: Event | str, who: Who = BOB) -> Event:
        payload = {"about": "the count", "text": secret("It is not.")}
        return self.event(who, "challenge_response", payload, target=_target(target))

    def withdrawal(
        self, target: Event, who: Who = ALICE, *, on_behalf_of: Mapping[str, str] | None = None, **changes: Any
    ) -> Event:
        return self.event(who, "withdrawal", changes, target=target.id_text, on_behalf_of=on_behalf_of)

    def decision(self, target: Event, decision: str = "accepted", who: Who = MODERATOR, **changes: Any) -> Event:
        payload = {"decision": decision, **changes}
        return self.event(who, "moderation_decision", payload, target=target.id_text)

    # Whole histories.

    def opening(self) -> list[Event]:
        """Return how a registry begins: its root, its two other keys and its policy."""
        return [
            self.root(),
            self.registration(self.receipt, "receipt"),
            self.registration(self.log, "log"),
            self.policy(),
        ]

    def people(self) -> list[Event]:
        return [
            self.registration(ALICE),
            self.registration(BOB),
            self.registration(CHECKER, "storage_checker"),
            self.registration(MODERATOR, "moderator"),
        ]


def _target(target: Event | str) -> str:
    return target if isinstance(target, str) else target.id_text
