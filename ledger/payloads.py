"""The payload of every event type: one struct each, with the form and limit of every field.

Hashes are lower-case hex. Fields typed `Commitment` hold private text (see `commitments`). Optional
fields are left out, never null, except where null has a meaning of its own.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ledger.keys import Role
from ledger.records import HEX64, Hex64, Time
from ledger.subjects import LOG_LABEL

Commitment = Annotated[str, Meta(pattern=HEX64)]
EventIdText = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Url = Annotated[str, Meta(max_length=2000, pattern=r"^[a-z][a-z0-9+.-]{1,15}:[!-~]+\Z")]
SignerId = Annotated[
    str, Meta(max_length=200, pattern=r"^(?!email:(?![0-9a-f]{64}\Z))[a-z][a-z0-9+.-]{1,31}:[!-~]{1,160}\Z")
]
"""`scheme:value`; an e-mail address stands only as `email:` and a salted commitment, never in clear."""

Citing = Annotated[str, Meta(max_length=2100, pattern=r"^[a-z]{2,20}:[!-~]+\Z")]
Base64 = Annotated[str, Meta(min_length=4, max_length=65_000, pattern=r"^[A-Za-z0-9+/]+={0,2}\Z")]
Nonce = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{21}[AQgw]\Z")]
RegistryName = Annotated[str, Meta(pattern=r"^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?\Z")]
LogLabel = Annotated[str, Meta(pattern=rf"^{LOG_LABEL}\Z")]
Mandatory = Annotated[str, Meta(min_length=1, max_length=2000)]
SourceText = dict[Annotated[str, Meta(max_length=40)], str]
Count = Annotated[int, Meta(ge=0)]

UNSET = msgspec.UNSET
Unset = msgspec.UnsetType


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all payloads share: immutable, no unknown fields."""


class PithReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A registry's signature over a canonical hash, in the public shape; times are verbatim strings."""

    kind: Literal["pith_receipt"]
    key_id: Line
    algorithm: Literal["ed25519"]
    signed_at: Line
    signature_b64: Line
    signed_message: Literal["canonical_sha256_bytes"]
    canonical_sha256: Hex64
    public_key_fingerprint: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]


class AliasPair(Payload, frozen=True):
    alias_kind: Line
    alias_value: Annotated[str, Meta(min_length=1, max_length=2048)]


class RecordCreated(Payload, frozen=True):
    """`log` is the label of the one log that the record is made for; it is left out in a registry's first log."""

    canonical_record: dict[str, Any]
    canonical_sha256: Hex64
    pith_receipt: dict[str, Any]
    paper: dict[str, Any]
    aliases: Annotated[list[AliasPair], Meta(max_length=100)]
    source_text: SourceText | Unset = UNSET
    log: LogLabel | Unset = UNSET


class RecordUpdated(Payload, frozen=True):
    """Top-level keys of `paper` replace those of the record; `row_times` are the source's own."""

    paper: dict[str, Any] | Unset = UNSET
    pith_receipt: dict[str, Any] | Unset = UNSET
    source_text: SourceText | Unset = UNSET


class GraphSnapshot(Payload, frozen=True):
    """Each block either as a value or, verbatim from a source, as JSON text in `source_text`."""

    graph_snapshot: dict[str, Any] | Unset = UNSET
    inbound_citations: dict[str, Any] | Unset = UNSET
    paper_claims: list[Any] | Unset = UNSET
    formal_canon: dict[str, Any] | Unset = UNSET
    source_text: SourceText | Unset = UNSET


class Anchored(Payload, frozen=True):
    what: Literal["record", "checkpoint"]
    sha256: Hex64
    tree_size: Count | Unset = UNSET
    note: Annotated[str, Meta(max_length=4096)] | Unset = UNSET


class TimestampAnchor(Payload, frozen=True):
    anchored: Anchored
    method: Literal["opentimestamps", "rfc3161"]
    service: Url
    proof_b64: Base64
    status: Literal["pending", "confirmed", "failed"]
    attested_time: Time | Unset = UNSET
    block_header: Annotated[str, Meta(pattern=r"^[0-9a-f]{160}\Z")] | Unset = UNSET
    height: Count | Unset = UNSET
    upgrades: EventIdText | Unset = UNSET


class Location(Payload, frozen=True):
    """`holder` is a holder who answers challenges (see `possession`)."""

    kind: Literal["wayback", "memento", "warc", "s3", "swh", "ipfs", "https", "holder"]
    url: Url


class Content(Payload, frozen=True):
    """The bytes of a copy; `chunk_root` is the root of their chunk tree (see `possession`), `cid` of the raw block."""

    sha256: Hex64
    bytes: Count
    media_type: Annotated[str, Meta(max_length=100, pattern=r"^[!-~]+/[!-~]+\Z")]
    chunk_root: Hex64 | Unset = UNSET
    swhid: Annotated[str, Meta(pattern=r"^swh:1:cnt:[0-9a-f]{40}\Z")] | Unset = UNSET
    cid: Annotated[str, Meta(pattern=r"^b[a-z2-7]{58}\Z")] | Unset = UNSET


class StorageCheck(Payload, frozen=True):
    """How a checker came to its outcome; `evidence_sha256` is the hash of the service's raw answer."""

    started_at: Time
    ended_at: Time
    software: Line
    final_url: Url | Unset = UNSET
    http_status: Annotated[int, Meta(ge=100, le=599)] | Unset = UNSET
    evidence_sha256: Hex64 | Unset = UNSET


class Possession(Payload, frozen=True):
    """A holder's answer to a challenge that nobody could foresee: `checkpoint_root` is this log's at `tree_size`."""

    tree_size: Count
    checkpoint_root: Hex64
    holder_key: Hex64
    chunks: Annotated[list[Count], Meta(min_length=1, max_length=64)]
    answer_sha256: Hex64
    signature_b64: Line


class StorageAttestation(Payload, frozen=True):
    location: Location
    captured_at: Time
    grade: Literal["claimed", "fetched", "proved"]
    outcome: Literal["stored", "missing", "changed"]
    content: Content | Unset = UNSET
    check: StorageCheck | Unset = UNSET
    possession: Possession | Unset = UNSET


class AuthorAttestation(Payload, frozen=True):
    author_name: Line
    statement: Commitment
    author_position: Annotated[int, Meta(ge=1, le=100_000)] | Unset = UNSET
    identity: Annotated[dict[Line, Line], Meta(max_length=20)] | Unset = UNSET
    claims: Annotated[list[Line], Meta(max_length=100)] | Unset = UNSET


Relationship = Literal["supports", "refutes", "extends", "uses_method", "depends_on", "replaces", "compares", "cites"]


class CitationSignature(Payload, frozen=True):
    """The subject is the cited paper; `citing` is a Pith Number or `kind:value` of another identifier."""

    citing: Citing
    relationship: Relationship
    claim_id: Line | Unset = UNSET
    quote: Commitment | Unset = UNSET


class Artefact(Payload, frozen=True):
    url: Url
    sha256: Hex64


class Formal(Payload, frozen=True):
    system: Line
    statement: Commitment
    commit: Line


class ReplicationRecord(Payload, frozen=True):
    kind: Literal["replication", "falsification", "formal_bridge"]
    outcome: Literal["reproduced", "partly_reproduced", "not_reproduced", "inconclusive", "proved"]
    artefacts: Annotated[list[Artefact], Meta(max_length=20)]
    formal: Formal | Unset = UNSET


class IdentityEvidence(Payload, frozen=True):
    """With `key_id`: the identifier was proven for that key. Without: it belongs to an author of the subject."""

    identifier: SignerId
    method: Line
    evidence: Commitment
    proven_at: Time
    key_id: Hex64 | Unset = UNSET
    author_name: Line | Unset = UNSET
    author_position: Annotated[int, Meta(ge=1, le=100_000)] | Unset = UNSET


class IntegrityFinding(Payload, frozen=True):
    """The fields of the public `pith.integrity.v1` event."""

    detector: Line
    detector_version: Annotated[str, Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+\Z")]
    finding_type: Line
    verdict_class: Literal["incontrovertible", "cross_source", "threshold_with_margin", "rescinded"]
    severity: Literal["critical", "advisory", "informational"]
    arxiv_id: Line
    evidence_hash: Hex64
    evidence: dict[str, Any]
    audited_at: Line
    paper_version: Annotated[int, Meta(ge=1)] | None | Unset = UNSET
    snippet: str | None | Unset = UNSET
    note: str | None | Unset = UNSET
    ref_index: Count | None | Unset = UNSET
    detected_doi: str | None | Unset = UNSET
    detected_arxiv_id: str | None | Unset = UNSET
    external_url: str | None | Unset = UNSET
    resolved_title: str | None | Unset = UNSET
    detector_url: str | None | Unset = UNSET


class IntegrityRescinded(Payload, frozen=True):
    evidence_hash: Hex64
    note: Line


class Challenge(Payload, frozen=True):
    about: Line
    text: Commitment
    evidence: Commitment | Unset = UNSET


class Withdrawal(Payload, frozen=True):
    reason: Commitment | Unset = UNSET


class ModerationDecision(Payload, frozen=True):
    decision: Literal["accepted", "rejected", "redacted"]
    reason: Commitment | Unset = UNSET


class KeyStatement(Payload, frozen=True):
    """What a key says of itself; `not_after` null means no end. `label` is a foreign receipt's `key_id`."""

    registry: RegistryName
    public_key: Hex64
    signer_id: SignerId
    role: Role
    not_before: Time
    not_after: Time | None
    nonce: Nonce
    label: Line | Unset = UNSET


class KeyRegistered(Payload, frozen=True):
    """`statement_signature_b64` is by the key itself; null only for a foreign receipt key, which has a `source`."""

    statement: KeyStatement
    statement_signature_b64: str | None
    source: Url | Unset = UNSET


class Rotation(Payload, frozen=True):
    registry: RegistryName
    old_key_id: Hex64
    statement: KeyStatement
    nonce: Nonce


class KeyRotated(Payload, frozen=True):
    """Both the old and the new key sign the hash of `rotation`."""

    rotation: Rotation
    old_signature_b64: str
    new_signature_b64: str


class KeyRevoked(Payload, frozen=True):
    key_id: Hex64
    compromised_from: Time | None
    reason: Commitment | Unset = UNSET


class BitcoinPolicy(Payload, frozen=True):
    network: Literal["mainnet", "regtest", "litecoin-regtest"]
    minimum_work_bits: Annotated[int, Meta(ge=0, le=256)]
    checkpoints: dict[Annotated[str, Meta(pattern=r"^[0-9]{1,9}\Z")], Hex64]


class ModerationPolicy(Payload, frozen=True):
    """What is held until a moderator accepts it."""

    server_signed: Literal["held", "accepted"]
    replications: Literal["held", "accepted"]
    unverified_keys: Literal["held", "accepted"]


class MatchingPolicy(Payload, frozen=True):
    """Which verified identifiers, equal to one attached to an author, make an author claim strong."""

    orcid: bool
    email: bool


class PolicySet(Payload, frozen=True):
    """Everything a verdict may depend on besides events and keys; a later one replaces it whole.

    `timestamp_roots` are DER certificates in base64; `checkers` are key ids of trusted storage checkers
    (empty: every key registered with that role); `independent_clocks` says how many of them must vouch for
    something before it is anchored (1 where it is not said); `logs` are the labels of the registry's logs beside the
    first (none where it is not said).
    """

    timestamp_roots: Annotated[list[Base64], Meta(max_length=50)]
    bitcoin: Annotated[list[BitcoinPolicy], Meta(max_length=4)]
    moderation: ModerationPolicy
    matching: MatchingPolicy
    checkers: Annotated[list[Hex64], Meta(max_length=100)]
    max_event_bytes: Annotated[int, Meta(ge=16_384, le=65_527)]
    skew_seconds: Annotated[int, Meta(ge=0, le=86_400)]
    independent_clocks: Annotated[int, Meta(ge=1, le=10)] | Unset = UNSET
    logs: Annotated[list[LogLabel], Meta(max_length=1_000)] | Unset = UNSET


PAYLOADS: Final[dict[str, type[Payload]]] = {
    "record_created": RecordCreated,
    "record_updated": RecordUpdated,
    "graph_snapshot": GraphSnapshot,
    "alias_added": AliasPair,
    "timestamp_anchor": TimestampAnchor,
    "storage_attestation": StorageAttestation,
    "author_attestation": AuthorAttestation,
    "citation_signature": CitationSignature,
    "replication_record": ReplicationRecord,
    "identity_evidence": IdentityEvidence,
    "integrity_finding": IntegrityFinding,
    "integrity_rescinded": IntegrityRescinded,
    "challenge": Challenge,
    "challenge_response": Challenge,
    "withdrawal": Withdrawal,
    "moderation_decision": ModerationDecision,
    "key_registered": KeyRegistered,
    "key_rotated": KeyRotated,
    "key_revoked": KeyRevoked,
    "policy_set": PolicySet,
}
