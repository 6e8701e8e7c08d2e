"""Forms become payloads: what is left out is filled in, what cannot be meant is refused by the form's own fields."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.submitting import forms
from api.submitting.actions import ACTIONS
from api.submitting.forms import FORMS, Given, read
from ledger.commitments import PRIVATE_FIELDS, hide
from ledger.errors import (
    CommitmentMismatchError,
    InvalidFieldError,
    MalformedError,
    MissingFieldError,
    UnknownFieldError,
)
from ledger.payloads import PAYLOADS, Relationship
from tests.builders import HASH, NUMBER, OPENED, SHA256

EVENT: str = f"sha256:{HASH}"
WAYBACK = "https://web.archive.org/web/2026/https://arxiv.org/abs/2606.00001"

KNOWN = Given(OPENED, lambda: SHA256, {"arXiv:2606.00001": NUMBER}.get)


def payload(event_type: str, **fields: Any) -> dict[str, Any]:
    """Return what a form becomes, checked against its event type's payload."""
    found = read(event_type, fields).payload(KNOWN)
    hidden, _ = hide(event_type, found, lambda: bytes(32))
    msgspec.convert(hidden, PAYLOADS[event_type])
    return found


def refusal(event_type: str, **fields: Any) -> MalformedError:
    with pytest.raises(MalformedError) as caught:
        read(event_type, fields).payload(KNOWN)
    return caught.value


# All of them.


@pytest.mark.parametrize("event_type", FORMS)
def test_the_documented_example_is_a_form(event_type: str) -> None:
    assert payload(event_type, **ACTIONS[event_type][1])


@pytest.mark.parametrize("event_type", FORMS)
def test_an_empty_form_says_what_is_missing_and_what_there_is(event_type: str) -> None:
    error = refusal(event_type)
    assert isinstance(error, MissingFieldError)
    assert error.place in FORMS[event_type].__struct_fields__
    assert all(name in error.cure for name in FORMS[event_type].__struct_fields__)


@pytest.mark.parametrize("event_type", FORMS)
def test_a_field_that_is_none_is_named(event_type: str) -> None:
    error = refusal(event_type, **ACTIONS[event_type][1], grade="proved")
    assert isinstance(error, UnknownFieldError) and error.place == "grade"


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_box_says_nothing(nothing: object) -> None:
    found = payload("citation_signature", citing="doi:10.1000/1", relationship="cites", quote=nothing)
    assert found == {"citing": "doi:10.1000/1", "relationship": "cites"}


@pytest.mark.parametrize("event_type", [name for name in FORMS if name in PRIVATE_FIELDS])
def test_private_texts_stand_where_the_payload_hides_them(event_type: str) -> None:
    example = dict(ACTIONS[event_type][1])
    if event_type == "replication_record":
        example["formal"] = {"system": "Lean 4", "statement": "theorem one", "commit": "abc"}
    form = read(event_type, example)
    _, disclosures = hide(event_type, form.payload(KNOWN), lambda: bytes(32))
    found = forms.texts_of(event_type, form)
    assert found and found == {path: disclosure.text for path, disclosure in disclosures.items()}


@given(st.sampled_from(sorted(FORMS)), st.dictionaries(st.text(max_size=90), st.text() | st.integers() | st.none()))
def test_whatever_is_sent_is_read_or_refused_in_few_words(event_type: str, value: dict[str, Any]) -> None:
    try:
        read(event_type, value)
    except MalformedError as error:
        assert len(str(error)) < 700


# A place in the event is told as a place in the form.


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("payload.location.url", "url"),
        ("payload.content.sha256", "sha256"),
        ("payload.citing", "citing"),
        ("payload.formal.commit", "formal.commit"),
        ("disclosures.statement", "statement"),
        ("target", "target"),
        ("signer", "signer"),
        ("", ""),
    ],
)
def test_a_place_in_the_event_is_told_as_a_place_in_the_form(place: str, told: str) -> None:
    assert forms.in_form(CommitmentMismatchError("no", place=place)).place == told


# Timestamps.


def test_an_anchor_is_of_the_papers_own_record() -> None:
    found = payload("timestamp_anchor", method="rfc3161", service="https://tsa.example.org", proof_b64="AAAA")
    assert found["anchored"] == {"what": "record", "sha256": SHA256}


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"method": "rfc3161"}, "confirmed"),
        ({"method": "opentimestamps"}, "pending"),
        ({"method": "opentimestamps", "block_header": "00" * 80, "height": 1}, "confirmed"),
        ({"method": "rfc3161", "status": "pending"}, "pending"),
    ],
)
def test_what_can_be_checked_is_taken_for_confirmed(given: dict[str, Any], status: str) -> None:
    found = payload("timestamp_anchor", service="https://tsa.example.org", proof_b64="AAAA", **given)
    assert found["status"] == status


def test_nobody_hands_in_a_failed_anchor() -> None:
    error = refusal("timestamp_anchor", method="rfc3161", service="https://a.b", proof_b64="AAAA", status="failed")
    assert error.place == "status"


# Storage.


def test_a_copy_is_claimed_now_and_of_any_kind_of_bytes() -> None:
    assert payload("storage_attestation", url=WAYBACK, sha256=HASH, bytes=0) == {
        "location": {"kind": "wayback", "url": WAYBACK},
        "captured_at": OPENED,
        "grade": "claimed",
        "outcome": "stored",
        "content": {"sha256": HASH, "bytes": 0, "media_type": "application/octet-stream"},
    }


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (WAYBACK, "wayback"),
        ("http://web.archive.org/web/2026/x", "wayback"),
        ("https://archive.softwareheritage.org/swh:1:cnt:abc", "swh"),
        ("swh:1:cnt:abc", "swh"),
        ("ipfs://bafy", "ipfs"),
        ("s3://bucket/key", "s3"),
        ("https://example.org/web.archive.org", "https"),
        ("https://web.archive.org.example.org/", "https"),
    ],
)
def test_the_kind_of_archive_is_told_from_the_address(url: str, kind: str) -> None:
    assert payload("storage_attestation", url=url, outcome="missing")["location"]["kind"] == kind


@pytest.mark.parametrize("url", ["file:paper.pdf", "urn:isbn:1", "https:paper.pdf"])
def test_an_address_that_does_not_tell_needs_a_kind(url: str) -> None:
    assert refusal("storage_attestation", url=url, outcome="missing").place == "kind"
    assert payload("storage_attestation", url=url, outcome="missing", kind="warc")["location"]["kind"] == "warc"


def test_an_address_that_cannot_be_taken_apart_is_refused() -> None:
    error = refusal("storage_attestation", url="https://[::1", outcome="missing")
    assert isinstance(error, InvalidFieldError) and error.place == "url"


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, "sha256"),
        ({"sha256": HASH}, "bytes"),
        ({"bytes": 1}, "sha256"),
        ({"outcome": "changed"}, "sha256"),
        ({"outcome": "missing", "bytes": 1}, "sha256"),
        ({"outcome": "missing", "media_type": "text/plain"}, "sha256"),
    ],
)
def test_a_copy_has_a_hash_and_a_length(given: dict[str, Any], place: str) -> None:
    error = refusal("storage_attestation", url=WAYBACK, **given)
    assert isinstance(error, MissingFieldError) and error.place == place


def test_a_missing_copy_has_no_content() -> None:
    assert "content" not in payload("storage_attestation", url=WAYBACK, outcome="missing")


# Authors.


def test_who_an_author_says_they_are_is_a_description() -> None:
    found = payload(
        "author_attestation",
        author_name="Josiah Carberry",
        statement="mine",
        orcid="https://orcid.org/0000-0002-1825-0097",
        affiliation="Brown University",
        homepage="https://example.org/~carberry",
    )
    assert found["identity"] == {
        "orcid": "0000-0002-1825-0097",
        "affiliation": "Brown University",
        "homepage": "https://example.org/~carberry",
    }


def test_an_author_may_describe_nothing() -> None:
    assert payload("author_attestation", author_name="A. Author", statement="mine") == {
        "author_name": "A. Author",
        "statement": "mine",
    }


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"homepage": "mailto:carberry@example.org"}, "homepage"),
        ({"homepage": "javascript:alert(1)"}, "homepage"),
        ({"orcid": "0000-0002-1825-009"}, "orcid"),
        ({"author_position": 0}, "author_position"),
        ({"author_position": "1"}, "author_position"),
        ({"author_name": "A\nB"}, "author_name"),
        ({"claims": ["x"] * 101}, "claims"),
        ({"claims": [1]}, "claims[0]"),
        ({"statement": ["mine"]}, "statement"),
    ],
)
def test_what_no_author_says_is_refused_where_it_stands(given: dict[str, Any], place: str) -> None:
    assert refusal("author_attestation", **{"author_name": "A", "statement": "mine", **given}).place == place


# Citations.


@pytest.mark.parametrize(
    ("typed", "citing"),
    [
        ("arXiv:2606.00001", NUMBER),
        (" arXiv:2606.00001 ", NUMBER),
        ("arXiv:2605.25619", "arxiv:2605.25619"),
        ("https://arxiv.org/abs/2605.25619v3", "arxiv:2605.25619"),
        ("https://doi.org/10.1000/ABC", "doi:10.1000/abc"),
        ("P19-1234", "acl:P19-1234"),
        ("pmid:12345", "pmid:12345"),
        ("https://openreview.net/forum?id=abcdef", "openreview:abcdef"),
        ("https://example.org/paper", "url:https://example.org/paper"),
        ("pith:2026:QKNOCXGU37VTEACJ427TX64VQJ", "pith:2026:QKNOCXGU37VTEACJ427TX64VQJ"),
    ],
)
def test_any_name_of_the_citing_paper_will_do(typed: str, citing: str) -> None:
    assert payload("citation_signature", citing=typed, relationship="cites")["citing"] == citing


@pytest.mark.parametrize("typed", ["a paper", "QKNOCXGU", "pith:2026:short", "ftp://example.org", "10.1000", "☃"])
def test_a_name_of_no_paper_is_refused(typed: str) -> None:
    assert refusal("citation_signature", citing=typed, relationship="cites").place == "citing"


def test_a_relationship_is_one_of_eight() -> None:
    assert refusal("citation_signature", citing="doi:10.1000/1", relationship="likes").place == "relationship"


# Replications.


@pytest.mark.parametrize(
    ("artefact", "place"),
    [
        ({"url": "https://example.org"}, "artefacts[0].sha256"),
        ({"url": "https://example.org", "sha256": HASH, "size": 1}, "artefacts[0].size"),
        ({"url": "no address", "sha256": HASH}, "artefacts[0].url"),
    ],
)
def test_an_artefact_has_an_address_and_a_hash(artefact: dict[str, Any], place: str) -> None:
    error = refusal("replication_record", kind="replication", outcome="reproduced", artefacts=[artefact])
    assert error.place == place


# Challenges and withdrawals.


@pytest.mark.parametrize("event_type", ["challenge", "challenge_response"])
@pytest.mark.parametrize("target", [EVENT, "C1", "Theorem.2-b"])
def test_a_challenge_is_about_an_event_or_a_claim(event_type: str, target: str) -> None:
    form = read(event_type, {"target": target, "about": "it", "text": "no"})
    assert (form.aim(), form.payload(KNOWN)) == (target, {"about": "it", "text": "no"})


@pytest.mark.parametrize("target", ["sha256:abc", "1st claim", "", EVENT + "\n"])
def test_a_target_that_is_none_is_refused(target: str) -> None:
    assert refusal("challenge", target=target, about="it", text="no").place == "target"


def test_only_an_event_is_withdrawn() -> None:
    assert refusal("withdrawal", target="C1").place == "target"
    form = read("withdrawal", {"target": EVENT, "reason": "a slip"})
    assert (form.aim(), form.payload(KNOWN)) == (EVENT, {"reason": "a slip"})


def test_a_withdrawal_needs_no_reason() -> None:
    assert payload("withdrawal", target=EVENT) == {}


def test_a_word_that_is_none_of_a_fields_is_answered_with_them() -> None:
    with pytest.raises(InvalidFieldError) as refused:
        read("citation_signature", {"citing": "arxiv:2606.00002", "relationship": "likes"})
    assert refused.value.place == "relationship"
    assert refused.value.cure == f"give one of {', '.join(sorted(get_args(Relationship)))}"
