"""Events that are not well formed: each kind of fault has its own error, and names its place."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ledger.errors import (
    EventIdMismatchError,
    InvalidFieldError,
    MissingFieldError,
    NotJsonError,
    SignerNotAllowedError,
    SubmissionError,
    UnknownFieldError,
    UnknownTypeError,
)
from ledger.events import TYPES, from_value, parse
from ledger.payloads import PAYLOADS
from tests.builders import ALICE, HASH, NUMBER, SESSION, World, seal
from tests.logs import samples

WORLD = World()
SAMPLES = samples(WORLD)
GONE = object()

every_type = pytest.mark.parametrize("event_type", TYPES)
REQUIRED = [
    (event_type, field.encode_name)
    for event_type, payload in PAYLOADS.items()
    for field in msgspec.structs.fields(payload)
    if field.required
]


def refusal(event_type: str, place: str, value: Any) -> SubmissionError:
    """Change one place of a valid event, seal it again, and return why it is refused."""
    body = json.loads(SAMPLES[event_type].raw)
    del body["event_id"], body["signature_b64"]
    holder = body
    *parents, name = place.split(".")
    for parent in parents:
        holder = holder[int(parent)] if isinstance(holder, list) else holder[parent]
    if value is GONE:
        del holder[name]
    else:
        holder[name] = value
    return refusal_of(seal(body, ALICE.key))


def refusal_of(value: Any) -> SubmissionError:
    with pytest.raises(SubmissionError) as refused:
        from_value(value)
    return refused.value


def fault(error: SubmissionError) -> tuple[type[SubmissionError], str]:
    return type(error), error.place


@pytest.mark.parametrize("raw", [b"[]", b'"event"', b"1", b"null", b"true"])
def test_an_event_is_an_object(raw: bytes) -> None:
    with pytest.raises(NotJsonError):
        parse(raw)


# Missing, unknown and ill-typed fields, at each level.


@pytest.mark.parametrize(
    "name",
    ["schema", "event_type", "subject_pith_number", "target", "registry", "nonce", "created_at", "signer", "payload"],
)
def test_a_missing_envelope_field_is_named(name: str) -> None:
    assert fault(refusal("citation_signature", name, GONE)) == (MissingFieldError, name)


@pytest.mark.parametrize("name", ["event_id", "signature_b64"])
def test_a_missing_seal_is_named(name: str) -> None:
    value = json.loads(SAMPLES["citation_signature"].raw)
    del value[name]
    assert fault(refusal_of(value)) == (MissingFieldError, name)


@pytest.mark.parametrize("name", ["signer_type", "signer_id", "key_id", "public_key_fingerprint"])
def test_a_missing_signer_field_is_named(name: str) -> None:
    place = f"signer.{name}"
    assert fault(refusal("citation_signature", place, GONE)) == (MissingFieldError, place)


@pytest.mark.parametrize(("event_type", "name"), REQUIRED)
def test_a_missing_payload_field_is_named(event_type: str, name: str) -> None:
    place = f"payload.{name}"
    assert fault(refusal(event_type, place, GONE)) == (MissingFieldError, place)


@pytest.mark.parametrize(
    ("event_type", "place"),
    [
        ("key_registered", "payload.statement.role"),
        ("key_rotated", "payload.rotation.statement.nonce"),
        ("storage_attestation", "payload.location.url"),
        ("policy_set", "payload.moderation.server_signed"),
    ],
)
def test_a_missing_nested_field_is_named(event_type: str, place: str) -> None:
    assert fault(refusal(event_type, place, GONE)) == (MissingFieldError, place)


@pytest.mark.parametrize("place", ["extra", "signer.extra", "Schema"])
def test_an_unknown_field_is_named(place: str) -> None:
    assert fault(refusal("citation_signature", place, 1)) == (UnknownFieldError, place)


@every_type
def test_an_unknown_payload_field_is_named(event_type: str) -> None:
    assert fault(refusal(event_type, "payload.extra", 1)) == (UnknownFieldError, "payload.extra")


@pytest.mark.parametrize(
    ("event_type", "place"),
    [
        ("key_registered", "payload.statement.extra"),
        ("key_rotated", "payload.rotation.statement.extra"),
        ("storage_attestation", "payload.content.extra"),
        ("policy_set", "payload.matching.extra"),
        ("timestamp_anchor", "payload.anchored.extra"),
    ],
)
def test_an_unknown_nested_field_is_named(event_type: str, place: str) -> None:
    assert fault(refusal(event_type, place, 1)) == (UnknownFieldError, place)


@pytest.mark.parametrize(
    ("event_type", "place", "value"),
    [
        ("citation_signature", "schema", "pith-event/2"),
        ("citation_signature", "event_type", 1),
        ("citation_signature", "subject_pith_number", NUMBER.lower()),
        ("citation_signature", "subject_pith_number", NUMBER + "\n"),
        ("citation_signature", "target", None),
        ("citation_signature", "registry", "Test.Registry"),
        ("citation_signature", "nonce", "A" * 21),
        ("citation_signature", "nonce", "A" * 21 + "B"),
        ("citation_signature", "nonce", "+" * 22),
        ("citation_signature", "created_at", 1),
        ("citation_signature", "created_at", "2026-06-19T16:00:00.0Z"),
        ("citation_signature", "created_at", "2026-06-19T16:00:00+00:00"),
        ("citation_signature", "created_at", "2026-02-30T16:00:00Z"),
        ("citation_signature", "created_at", "2026-06-19T25:00:00Z"),
        ("citation_signature", "signer", "alice"),
        ("citation_signature", "signer.signer_type", "author"),
        ("citation_signature", "signer.signer_id", "alice"),
        ("citation_signature", "signer.signer_id", "name:al ice"),
        ("citation_signature", "signer.signer_id", "name:alicé"),
        ("citation_signature", "signer.key_id", ALICE.key.key_id.upper()),
        ("citation_signature", "signer.key_id", ALICE.key.key_id[:32]),
        ("citation_signature", "signer.public_key_fingerprint", "0" * 32),
        ("citation_signature", "signer.public_key_fingerprint", ALICE.key.key_id),
        ("citation_signature", "payload", []),
        ("citation_signature", "payload.relationship", "likes"),
        ("citation_signature", "payload.quote", None),
        ("citation_signature", "payload.quote", "in plain words"),
        ("storage_attestation", "payload.location.url", "not a url"),
        ("storage_attestation", "payload.content.bytes", -1),
        ("storage_attestation", "payload.content.bytes", True),
        ("author_attestation", "payload.author_name", "two\nlines"),
        ("author_attestation", "payload.author_name", ""),
        ("author_attestation", "payload.author_name", "a" * 201),
        ("author_attestation", "payload.statement", "I wrote this."),
        ("author_attestation", "payload.author_position", 0),
        ("replication_record", "payload.artefacts.0.sha256", "00"),
        ("replication_record", "payload.artefacts", [{"url": "https://example.org/", "sha256": HASH}] * 21),
        ("moderation_decision", "payload.decision", "maybe"),
        ("key_registered", "payload.statement.role", "administrator"),
        ("key_registered", "payload.statement.public_key", "00"),
        ("key_revoked", "payload.compromised_from", "yesterday"),
        ("policy_set", "payload.skew_seconds", "300"),
        ("policy_set", "payload.max_event_bytes", 65_528),
        ("record_created", "payload.aliases.0.alias_value", ""),
        ("timestamp_anchor", "payload.proof_b64", "-_-_"),
    ],
)
def test_an_ill_formed_field_is_named(event_type: str, place: str, value: Any) -> None:
    named = place.replace(".0.", "[0].")
    assert fault(refusal(event_type, place, value)) == (InvalidFieldError, named)


# The seal.


def test_an_event_id_of_another_body_is_refused() -> None:
    value = {**json.loads(SAMPLES["citation_signature"].raw), "event_id": f"sha256:{HASH}"}
    assert fault(refusal_of(value)) == (EventIdMismatchError, "event_id")


@pytest.mark.parametrize("event_id", [HASH, f"SHA256:{HASH}", f"sha256:{HASH.upper()}", f"sha256:{HASH}\n", 1])
def test_an_ill_formed_event_id_is_refused(event_id: Any) -> None:
    value = {**json.loads(SAMPLES["citation_signature"].raw), "event_id": event_id}
    assert fault(refusal_of(value)) == (InvalidFieldError, "event_id")


@pytest.mark.parametrize(
    "respell",
    [
        lambda text: text.rstrip("="),
        lambda text: text + "\n",
        lambda text: text[:-3] + "R==",
        lambda text: text.replace(text[0], "-"),
        lambda text: text[:-4] + "AAA=",
        lambda text: "",
    ],
    ids=["unpadded", "with line end", "with trailing bits", "url-safe", "too long", "empty"],
)
def test_a_signature_in_another_spelling_is_refused(respell: Any) -> None:
    value = json.loads(SAMPLES["citation_signature"].raw)
    value["signature_b64"] = respell(value["signature_b64"][:-3] + "Q==")
    assert fault(refusal_of(value)) == (InvalidFieldError, "signature_b64")


# Type, target, subject, signer and registry.


@pytest.mark.parametrize("event_type", ["", "Citation_signature", "citation", "record_deleted"])
def test_an_unknown_type_is_named(event_type: str) -> None:
    assert fault(refusal("citation_signature", "event_type", event_type)) == (UnknownTypeError, "event_type")


@every_type
@pytest.mark.parametrize("target", ["", "a paper", "sha256:00", f"SHA256:{HASH}", f"sha256:{HASH}\n"])
def test_a_target_of_another_kind_is_refused(event_type: str, target: str) -> None:
    assert fault(refusal(event_type, "target", target)) == (InvalidFieldError, "target")


@pytest.mark.parametrize(
    "event_type", [name for name, rules in TYPES.items() if rules.of_record not in ("event", "event-or-claim")]
)
def test_an_event_is_no_target_of_what_is_said_of_a_whole_paper(event_type: str) -> None:
    assert fault(refusal(event_type, "target", f"sha256:{HASH}")) == (InvalidFieldError, "target")


@pytest.mark.parametrize("event_type", [name for name, rules in TYPES.items() if rules.of_registry is None])
def test_what_is_said_of_papers_is_not_said_of_a_registry(event_type: str) -> None:
    found = refusal(event_type, "subject_pith_number", WORLD.subject)
    assert fault(found) == (InvalidFieldError, "subject_pith_number")


@pytest.mark.parametrize("event_type", [name for name, rules in TYPES.items() if rules.of_record is None])
def test_what_is_said_of_a_registry_is_not_said_of_papers(event_type: str) -> None:
    assert fault(refusal(event_type, "subject_pith_number", NUMBER)) == (InvalidFieldError, "subject_pith_number")


@pytest.mark.parametrize("event_type", [name for name, rules in TYPES.items() if rules.of_record is None])
def test_another_registrys_stream_is_refused(event_type: str) -> None:
    found = refusal(event_type, "subject_pith_number", "pith:registry:other.registry")
    assert fault(found) == (InvalidFieldError, "subject_pith_number")


@pytest.mark.parametrize(
    ("event_type", "signer_type"),
    [
        (name, signer_type)
        for name, rules in TYPES.items()
        for signer_type in ("pith_registry", "contributor", "moderator")
        if signer_type not in rules.signers
    ],
)
def test_a_signer_of_the_wrong_type_is_refused(event_type: str, signer_type: str) -> None:
    found = refusal(event_type, "signer.signer_type", signer_type)
    assert fault(found) == (SignerNotAllowedError, "signer.signer_type")


@pytest.mark.parametrize(
    "event_type",
    [
        name
        for name, event in SAMPLES.items()
        if event.signer.signer_type != "pith_registry" or TYPES[name].on_behalf == "never"
    ],
)
def test_on_behalf_of_is_refused_where_it_may_not_be(event_type: str) -> None:
    assert fault(refusal(event_type, "signer.on_behalf_of", SESSION)) == (InvalidFieldError, "signer.on_behalf_of")


@pytest.mark.parametrize("event_type", [name for name, rules in TYPES.items() if rules.on_behalf == "must"])
def test_a_registry_speaks_for_a_person_only_by_saying_so(event_type: str) -> None:
    found = refusal(event_type, "signer.signer_type", "pith_registry")
    assert fault(found) == (MissingFieldError, "signer.on_behalf_of")


@pytest.mark.parametrize("value", [{"kind": "friend", "subject": HASH}, {"kind": "session"}, None, "someone"])
def test_an_ill_formed_on_behalf_of_is_refused(value: Any) -> None:
    assert refusal("citation_signature", "signer.on_behalf_of", value).place.startswith("signer.on_behalf_of")


@pytest.mark.parametrize("event_type", [name for name, event in SAMPLES.items() if event.registry is not None])
def test_a_registry_must_be_named_where_the_rule_says_so(event_type: str) -> None:
    assert fault(refusal(event_type, "registry", None)) == (MissingFieldError, "registry")


@pytest.mark.parametrize("event_type", [name for name, event in SAMPLES.items() if event.registry is None])
def test_a_portable_attestation_names_no_registry(event_type: str) -> None:
    assert fault(refusal(event_type, "registry", WORLD.name)) == (InvalidFieldError, "registry")
