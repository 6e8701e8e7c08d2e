"""The rules of each event type that an entry must fulfil to be appended, whatever comes later.

A rule sees the entry, its signer's key, the record it is about, the registry's stream and what the log
holds about the same subject. It raises the named error, or returns.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from ledger import anchors, canonical, possession, records, subjects
from ledger.errors import (
    AnchorError,
    AnchorMismatchError,
    ForeignLogError,
    HashMismatchError,
    InvalidFieldError,
    KeyRoleError,
    LedgerError,
    MissingFieldError,
    RuleViolationError,
    SignerNotAllowedError,
    SubmissionError,
    TargetMissingError,
    UnknownFieldError,
)
from ledger.events import MODERATED, Entry, Event
from ledger.keyring import Registration
from ledger.log_keys import log_origin
from ledger.payloads import (
    AliasPair,
    Anchored,
    Content,
    Possession,
    RecordCreated,
    StorageAttestation,
    StorageCheck,
    TimestampAnchor,
)
from ledger.registry import Registry, proof_of
from ledger.signatures import parse_receipt


class Targets(Protocol):
    """What a log holds about one subject, as far as the entry under judgement may refer to it."""

    def record(self, subject: str) -> Entry | None:
        """Return the first record_created of a paper."""

    def event(self, subject: str, event_id: bytes) -> Entry | None:
        """Return the entry of a paper that has this id."""

    def about(self, event_id: bytes) -> Iterable[Entry]:
        """Return the decisions and withdrawals that target an event."""


class Case(msgspec.Struct, frozen=True):
    """An entry under judgement; `record` is None where the subject is the registry's stream.

    `formed` says that what needs nothing but the event (see `check_form`) was found to be right already.
    """

    entry: Entry
    key: Registration
    record: Entry | None
    registry: Registry
    targets: Targets
    formed: bool = False


def _record_created(case: Case) -> None:
    event, payload = case.entry.event, case.entry.event.payload
    # Everything about a paper needs its record, so this binds all of it to one log.
    made_for = payload.log if isinstance(payload.log, str) else ""
    if made_for != case.registry.label:
        origin = log_origin(case.registry.name, made_for)
        raise ForeignLogError(f"the record was made for {origin}", place="payload.log")
    if not case.registry.has_log(case.entry.position):
        message = f"the registry's policy names no log {case.registry.label!r}"
        raise ForeignLogError(message, place="payload.log", cure="see `pith log add`")
    if not case.formed:
        _check_identity(event)
    _check_receipt(case, payload.pith_receipt, payload.canonical_sha256)
    if not case.formed:
        _check_description(event)


def _check_identity(event: Event) -> None:
    payload: RecordCreated = event.payload
    identity = records.check_record(payload.canonical_record, event.subject)
    records.check_digest(payload.canonical_sha256, identity, "payload.canonical_sha256")


def _check_description(event: Event) -> None:
    payload: RecordCreated = event.payload
    _check_paper(payload.paper, payload.canonical_record, required=True)
    for alias in payload.aliases:
        subjects.check_alias(alias.alias_kind, alias.alias_value)
    _check_source_text(event)


def _record_updated(case: Case) -> None:
    payload = case.entry.event.payload
    if (
        payload.paper is msgspec.UNSET
        and payload.pith_receipt is msgspec.UNSET
        and payload.source_text is msgspec.UNSET
    ):
        raise MissingFieldError("nothing is updated", place="payload")
    assert case.record is not None
    created: RecordCreated = case.record.event.payload
    if isinstance(payload.paper, dict):
        _check_paper(payload.paper, created.canonical_record, required=False)
    if isinstance(payload.pith_receipt, dict):
        _check_receipt(case, payload.pith_receipt, created.canonical_sha256)
    _check_source_text(case.entry.event)


def _graph_snapshot(event: Event) -> None:
    if not event.value["payload"]:
        raise MissingFieldError("a snapshot holds at least one block", place="payload")
    _check_source_text(event)


def _alias_added(event: Event) -> None:
    payload: AliasPair = event.payload
    subjects.check_alias(payload.alias_kind, payload.alias_value)


def _timestamp_anchor(case: Case) -> None:
    payload: TimestampAnchor = case.entry.event.payload
    anchored = payload.anchored
    if anchored.what != case.entry.event.target:
        raise InvalidFieldError(f"the target is a {case.entry.event.target}", place="payload.anchored.what")
    if isinstance(payload.attested_time, str):
        records.check_time(payload.attested_time, "payload.attested_time")
    if case.record is None:
        if case.entry.event.signer.signer_type != "pith_registry":
            raise SignerNotAllowedError("a registry anchors its own checkpoints", place="signer.signer_type")
        if not isinstance(anchored.tree_size, int):
            raise MissingFieldError("a checkpoint has a tree size", place="payload.anchored.tree_size")
        _check_own_note(case, anchored)
    elif anchored.sha256 != case.record.event.payload.canonical_sha256:
        raise HashMismatchError("not the record's canonical hash", place="payload.anchored.sha256")
    if payload.status == "confirmed":
        confirmed = case.registry.confirmation(case.entry.event, case.entry.position)
        if isinstance(payload.attested_time, str) and payload.attested_time != confirmed.attested_time:
            raise AnchorMismatchError(f"the proof says {confirmed.attested_time}", place="payload.attested_time")
    elif payload.status == "pending":
        anchors.check_proof(payload.method, bytes.fromhex(anchored.sha256), proof_of(payload))


def _check_own_note(case: Case, anchored: Anchored) -> None:
    """Refuse the anchor of another log's checkpoint, which its registry signed all the same."""
    name, label = case.registry.name, case.registry.label
    if not isinstance(anchored.note, str):
        if label:
            raise MissingFieldError("the checkpoint's note tells which log's it is", place="payload.anchored.note")
        return
    origin = anchored.note.partition("\n")[0]
    if origin != log_origin(name, label) and (label or origin.startswith(f"{log_origin(name)}/")):
        raise ForeignLogError(f"this is a checkpoint of {origin[:120]!r}", place="payload.anchored.note")


def _storage_attestation(case: Case) -> None:
    payload: StorageAttestation = case.entry.event.payload
    if payload.grade != "claimed" and case.key.role != "storage_checker":
        raise KeyRoleError(f"only a storage checker's key may say {payload.grade}", place="payload.grade")
    if payload.outcome != "missing" and payload.content is msgspec.UNSET:
        raise MissingFieldError("stored or changed content has a hash", place="payload.content")
    records.check_time(payload.captured_at, "payload.captured_at")
    if isinstance(payload.check, StorageCheck):
        _check_span(payload.check)
    if payload.location.kind == "holder":
        possession.parse_location(payload.location.url, "payload.location.url")
    if payload.grade == "proved":
        _check_proved(payload, case.entry.position)
    elif payload.possession is not msgspec.UNSET:
        raise InvalidFieldError("an answer to a challenge stands with the grade proved", place="payload.possession")


def _check_span(check: StorageCheck) -> None:
    records.check_time(check.started_at, "payload.check.started_at")
    records.check_time(check.ended_at, "payload.check.ended_at")
    # Both have one form of fixed width, so text is in order of time.
    if check.started_at > check.ended_at:
        raise InvalidFieldError("the check ended before it began", place="payload.check.ended_at")


def _check_proved(payload: StorageAttestation, position: int) -> None:
    if payload.location.kind != "holder":
        raise RuleViolationError("only a holder proves that it has a copy", place="payload.location.kind")
    if payload.outcome != "stored" or not isinstance(payload.content, Content):
        raise RuleViolationError("what is proved is that the content is stored", place="payload.outcome")
    if payload.content.chunk_root is msgspec.UNSET:
        raise MissingFieldError("what is proved has a chunk root", place="payload.content.chunk_root")
    if not isinstance(payload.possession, Possession):
        raise MissingFieldError("a proof is the answer to a challenge", place="payload.possession")
    if not 0 < payload.possession.tree_size <= position:
        raise RuleViolationError(
            f"before position {position} no checkpoint has this size", place="payload.possession.tree_size"
        )
    possession.check_possession(payload.location, payload.content, payload.possession, "payload.possession")


def _citation_signature(event: Event) -> None:
    citing = event.payload.citing
    if citing.startswith("pith:"):
        subjects.parse_number(citing)
    else:
        kind, _, ident = citing.partition(":")
        if subjects.normal_source_id(kind, ident) != ident:
            raise InvalidFieldError(f"{citing!r} is not in normal form", place="payload.citing")
    if citing == event.subject:
        raise RuleViolationError("a paper does not cite itself", place="payload.citing")


def _replication_record(event: Event) -> None:
    payload = event.payload
    if payload.kind == "formal_bridge" and payload.formal is msgspec.UNSET:
        raise MissingFieldError("a formal bridge names its statement", place="payload.formal")
    if not payload.artefacts and payload.formal is msgspec.UNSET:
        raise MissingFieldError("a replication shows at least one artefact", place="payload.artefacts")


def _identity_evidence(case: Case) -> None:
    payload = case.entry.event.payload
    records.check_time(payload.proven_at, "payload.proven_at")
    if case.record is None:
        if not isinstance(payload.key_id, str):
            raise MissingFieldError("evidence about a key names it", place="payload.key_id")
        if case.registry.keys.find(payload.key_id, case.entry.position) is None:
            raise TargetMissingError("the key is not registered", place="payload.key_id")
    elif isinstance(payload.key_id, str):
        raise InvalidFieldError("evidence about a paper's author names no key", place="payload.key_id")


def _policy_set(case: Case) -> None:
    for index, root in enumerate(case.entry.event.payload.timestamp_roots):
        try:
            anchors.check_root(base64.b64decode(root, validate=True))
        except (ValueError, AnchorError):
            raise InvalidFieldError(
                "not the base64 of a DER certificate", place=f"payload.timestamp_roots[{index}]"
            ) from None
    logs = case.entry.event.payload.logs
    if isinstance(logs, list) and len(set(logs)) < len(logs):
        raise InvalidFieldError("a log is named twice", place="payload.logs")


def _about_event(case: Case) -> None:
    event = case.entry.event
    if not event.target.startswith("sha256:"):
        return
    found = case.targets.event(event.subject, bytes.fromhex(event.target[7:]))
    if found is None or found.position >= case.entry.position:
        raise TargetMissingError(f"{event.target} is not in this log under {event.subject}", place="target")
    aimed = found.event
    if event.event_type == "challenge_response" and aimed.event_type != "challenge":
        raise RuleViolationError(f"{aimed.event_type} is no challenge", place="target")
    if event.event_type not in ("withdrawal", "moderation_decision"):
        return
    if aimed.event_type not in MODERATED:
        verb = "withdrawn" if event.event_type == "withdrawal" else "decided on"
        raise RuleViolationError(f"{aimed.event_type} cannot be {verb}", place="target")
    if event.event_type == "withdrawal" and not _same_signer(event, aimed, case.registry, case.entry.position):
        raise SignerNotAllowedError(
            "only who signed it can withdraw it",
            place="signer",
            cure="sign with the same key, its successor, or a key proven for the same identity",
        )


def _same_signer(one: Event, other: Event, registry: Registry, before: int) -> bool:
    if one.signer.signer_id != other.signer.signer_id or one.signer.on_behalf_of != other.signer.on_behalf_of:
        return False
    if one.signer.signer_type == "pith_registry":
        return other.signer.signer_type == "pith_registry"
    return registry.keys.same_person(one.signer.key_id, other.signer.key_id, one.signer.signer_id, before)


def _check_receipt(case: Case, receipt: Mapping[str, Any], canonical_sha256: str) -> None:
    parsed = parse_receipt(receipt)
    if parsed.canonical_sha256 != canonical_sha256:
        raise HashMismatchError("the receipt is for another record", place="payload.pith_receipt.canonical_sha256")
    entry, keys = case.entry, case.registry.keys
    key = keys.receipt_key(parsed.key_id, parsed.public_key_fingerprint, entry.position)
    try:
        keys.usable(key.key_id, ("receipt", "foreign_receipt"), entry.position, entry.received_at)
    except SubmissionError as error:
        error.place = "payload.pith_receipt.key_id"
        raise


def _check_paper(paper: Mapping[str, Any], record: Mapping[str, Any], *, required: bool) -> None:
    title = paper.get("title")
    if title is None and required:
        raise MissingFieldError("a paper has a title", place="payload.paper.title")
    for name in ("title", "abstract"):
        if not isinstance(paper.get(name, ""), str):
            raise InvalidFieldError("expected text", place=f"payload.paper.{name}")
    try:
        records.check_texts(record, title, paper.get("abstract"))
    except LedgerError as error:
        error.place = f"payload.paper.{error.place}"
        raise


MAX_SOURCE_DEPTH: Final = 64
_SOURCE_PARTS: Final[Mapping[str, type]] = {
    "receipt": dict,
    "paper": dict,
    "aliases": list,
    "row_times": dict,
    "verification_status": dict,
    "events": list,
    "graph_snapshot": dict,
    "inbound_citations": dict,
    "paper_claims": list,
    "formal_canon": dict,
}


def _depth(value: Any) -> int:
    """Return how deep lists and objects nest; without recursion, so that no interpreter's limit decides."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [part for item in level for part in (item.values() if isinstance(item, dict) else item)]
    return depth


def _has_parts_of(name: str, value: Any) -> bool:
    match name:
        case "aliases":
            names = ("alias_kind", "alias_value")
            return all(
                isinstance(item, dict) and all(isinstance(item.get(name), str) for name in names) for item in value
            )
        case "row_times":
            return all(isinstance(item, str) for item in value.values())
    return True


def _check_source_text(event: Event) -> None:
    """The verbatim text of a part must say what the part itself says, to the type."""
    payload = event.value["payload"]
    for name, text in payload.get("source_text", {}).items():
        place = f"payload.source_text.{name}"
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, ValueError):
            raise InvalidFieldError("not JSON", place=place) from None
        except RecursionError:
            value = None
        if value is None or _depth(value) > MAX_SOURCE_DEPTH:
            raise InvalidFieldError(f"null, or nested more than {MAX_SOURCE_DEPTH} deep", place=place)
        kind = _SOURCE_PARTS.get(name)
        if kind is None:
            raise UnknownFieldError("no part of a public document", place=place)
        is_right_kind: bool = isinstance(value, kind)
        if not is_right_kind or not _has_parts_of(name, value):
            raise InvalidFieldError("not what this part of a public document is", place=place)
        part = {"receipt": "pith_receipt"}.get(name, name)
        if part not in payload:
            if part in ("paper", "pith_receipt"):
                raise MissingFieldError("a source's text stands beside its value", place=f"payload.{part}")
            continue
        if part == "aliases":
            value = [{key: item.get(key) for key in ("alias_kind", "alias_value")} for item in value]
        # Compared as text: Python takes true for 1, and 1.0 too.
        if msgspec.json.encode(value, order="sorted") != canonical.encode_decoded(payload[part]):
            raise InvalidFieldError(f"the source's text differs from payload.{part}", place=place)


def _formed(check: Callable[[Event], None]) -> Callable[[Case], None]:
    """Return the rule of a type of which no more is asked than its form."""
    return lambda case: check(case.entry.event)


_FORMS: Final[Mapping[str, tuple[Callable[[Event], None], ...]]] = {
    "record_created": (_check_identity, _check_description),
    "graph_snapshot": (_graph_snapshot,),
    "alias_added": (_alias_added,),
    "citation_signature": (_citation_signature,),
    "replication_record": (_replication_record,),
}


def check_form(event: Event) -> None:
    """Apply those rules of an event's type that need neither its position nor anything else in the log.

    They are the dear ones; who has applied them in another process may say so of a `Case`.

    Raises:
        SubmissionError: the child names the rule.
    """
    for check in _FORMS.get(event.event_type, ()):
        check(event)


def has_form(event: Event) -> bool:
    """Say whether `check_form` lets an event pass; why not is for those to say who know its place in the log."""
    try:
        check_form(event)
    except Exception:
        return False
    return True


RULES: Final[Mapping[str, Callable[[Case], None]]] = {
    "record_created": _record_created,
    "record_updated": _record_updated,
    "graph_snapshot": _formed(_graph_snapshot),
    "alias_added": _formed(_alias_added),
    "timestamp_anchor": _timestamp_anchor,
    "storage_attestation": _storage_attestation,
    "citation_signature": _formed(_citation_signature),
    "replication_record": _formed(_replication_record),
    "identity_evidence": _identity_evidence,
    "policy_set": _policy_set,
    "challenge": _about_event,
    "challenge_response": _about_event,
    "withdrawal": _about_event,
    "moderation_decision": _about_event,
}

RULES_OF_FORMED: Final = {name: rule for name, rule in RULES.items() if name not in _FORMS or name == "record_created"}
"""What is left to ask of an event of which `check_form` was asked."""
