"""What a record's fields and events say, in words for people: what each proves, and what must still be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Proof:
    """A field of `verification_status`: its name for people, what it proves, and whom that leaves to believe."""

    name: str
    proves: str
    believe: str


PROOFS: Final[Mapping[str, Proof]] = {
    "content_addressed": Proof(
        "Content addressed",
        "The number is the hash of the canonical record, so neither can change without the other.",
        "nothing: recompute it",
    ),
    "pith_receipt": Proof(
        "Receipt",
        "A registry signed this very hash with a receipt key that is in the log and was not revoked before.",
        "that the key is that registry's",
    ),
    "externally_anchored": Proof(
        "Timestamp",
        "Outside clocks, as many as the registry's policy asks for, vouch that the record, or a state of the log that "
        "holds it, existed by a certain time; the proofs are checked offline. They do not say since when.",
        "for Bitcoin, that the block header is in the chain, which any node tells; for RFC 3161, the time authority",
    ),
    "storage_verified": Proof(
        "Storage",
        "In some archive, a registered storage checker fetched the bytes, or had the holder prove them, and its newest "
        "check there says they are stored. It does not say that they will be tomorrow.",
        "the checker, who is named",
    ),
    "strong_author_claims": Proof(
        "Author claims, strong",
        "The signer's key has a proven ORCID iD or e-mail address, and somebody else had attached the same one to an "
        "author of this paper.",
        "the registry's word on who proved what to it",
    ),
    "weak_author_claims": Proof(
        "Author claims, weak",
        "Somebody signed that the paper is theirs, and nothing but their word, or a like name, connects them to it.",
        "the claimant",
    ),
    "citation_signatures": Proof(
        "Citations",
        "Signed statements that another paper supports, refutes, extends or otherwise uses this one; one a person, "
        "paper and relationship.",
        "the signer's judgement",
    ),
    "replication_records": Proof(
        "Replications",
        "Signed records of attempts to replicate, falsify or formally prove this, accepted by a moderator, whatever "
        "came out; one a person and artefact.",
        "the signer, and the moderator who accepted it",
    ),
    "graph_snapshot": Proof(
        "Graph snapshot",
        "The log holds a description of the paper's references and claims.",
        "its source",
    ),
    "references_resolved": Proof(
        "References resolved",
        "The snapshot has references, and each was found to be a known work.",
        "its source",
    ),
    "formal_links_present": Proof(
        "Formal links",
        "The snapshot links the paper to formally verified statements.",
        "its source",
    ),
}
"""All fields but `author_attested`, which the two kinds of author claims say more exactly."""

RUNGS: Final[Mapping[str, str]] = {
    "computed": "its number is computed",
    "anchored": "an outside clock has seen it",
    "stored": "an archive was seen to hold it",
    "attested": "an author signed for it",
    "replicated": "a replication bore it out",
}
"""`attestation_state`, from the lowest to the highest."""

EVENTS: Final[Mapping[str, str]] = {
    "record_created": "Record",
    "record_updated": "Record updated",
    "graph_snapshot": "Graph snapshot",
    "alias_added": "Another name",
    "timestamp_anchor": "Timestamp",
    "storage_attestation": "Storage",
    "author_attestation": "Author claim",
    "citation_signature": "Citation",
    "replication_record": "Replication",
    "identity_evidence": "Identity proven",
    "integrity_finding": "Integrity finding",
    "integrity_rescinded": "Integrity finding taken back",
    "challenge": "Challenge",
    "challenge_response": "Response to a challenge",
    "withdrawal": "Withdrawal",
    "moderation_decision": "Moderator's decision",
    "key_registered": "Key registered",
    "key_rotated": "Key replaced",
    "key_revoked": "Key revoked",
    "policy_set": "Policy",
}

STATUSES: Final[Mapping[str, str]] = {
    "counted": "counts",
    "held": "held for a moderator",
    "rejected": "rejected",
    "redacted": "redacted",
    "withdrawn": "withdrawn",
    "revoked": "key revoked",
}

SIGNERS: Final[Mapping[str, str]] = {
    "pith_registry": "the registry",
    "contributor": "a contributor",
    "moderator": "a moderator",
}

RELATIONSHIPS: Final[Mapping[str, str]] = {
    "supports": "supports",
    "refutes": "refutes",
    "extends": "extends",
    "uses_method": "uses a method of",
    "depends_on": "depends on",
    "replaces": "replaces",
    "compares": "compares itself with",
    "cites": "cites",
}

OUTCOMES: Final[Mapping[str, str]] = {
    "stored": "found what was to be stored",
    "missing": "found nothing",
    "changed": "found something else",
    "reproduced": "reproduced the result",
    "partly_reproduced": "reproduced the result in part",
    "not_reproduced": "did not reproduce the result",
    "inconclusive": "was inconclusive",
    "proved": "proved the statement",
}

METHODS: Final[Mapping[str, str]] = {
    "opentimestamps": "An OpenTimestamps proof",
    "rfc3161": "An RFC 3161 timestamp",
}

GRADES: Final[Mapping[str, str]] = {
    "claimed": "by the signer's own word",
    "fetched": "the checker fetched the bytes",
    "proved": "the holder answered a challenge",
}

GRADES_MEAN: Final[Mapping[str, str]] = {
    "claimed": "Somebody says so, or an archive's own answer does. Nobody here has looked, and it counts for nothing.",
    "fetched": "A named checker fetched the bytes from there at that time and computed their hash.",
    "proved": "The holder was sent a challenge that nobody could foresee, and answered with parts of the bytes, which "
    "a named checker compared with what was deposited.",
}

ARCHIVES: Final[Mapping[str, str]] = {
    "wayback": "Wayback Machine",
    "memento": "web archive",
    "warc": "WARC file",
    "s3": "object store",
    "swh": "Software Heritage",
    "ipfs": "IPFS",
    "https": "web server",
    "holder": "holder who answers challenges",
}
"""Where a copy lies, by `location.kind`."""

LOOKS: Final[Mapping[str, str]] = {"stored": "there", "missing": "not there", "changed": "something else there"}

CLOCKS: Final[Mapping[str, str]] = {
    "confirmed": "confirmed",
    "untrusted": "not accepted",
    "pending": "promised",
    "failed": "came to nothing",
}

REPLICATIONS: Final[Mapping[str, str]] = {
    "replication": "A replication",
    "falsification": "An attempt to falsify it",
    "formal_bridge": "A formal proof",
}
