"""Private text: committed to in the signed body, opened by text and salt, by nothing else."""

from __future__ import annotations

import base64
import hashlib
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.commitments import (
    MAX_TEXT_BYTES,
    PRIVATE_FIELDS,
    Disclosure,
    check_disclosures,
    commit,
    decode_salt,
    hide,
)
from ledger.errors import CommitmentMismatchError, InvalidFieldError
from ledger.payloads import PAYLOADS
from tests.builders import SALT, SALT_TEXT, disclosed, secret

CHALLENGE = {"about": "the count", "text": "It is off by one.", "evidence": "See page 3."}
FORMAL = {"kind": "formal_bridge", "formal": {"system": "lean4", "statement": "1 + 1 = 2", "commit": "abc"}}
COMMITTED = {"about": "the count", "text": secret("It is off by one.")}


def counted_salts() -> Any:
    numbers = itertools.count()
    return lambda: next(numbers).to_bytes(32, "big")


def test_a_commitment_is_the_hash_of_salt_and_text() -> None:
    assert commit(SALT, "Grüße") == hashlib.sha256(SALT + "Grüße".encode()).hexdigest()


@pytest.mark.parametrize("length", [0, 31, 33])
def test_commit_refuses_a_salt_of_another_length(length: int) -> None:
    with pytest.raises(InvalidFieldError):
        commit(bytes(length), "text")


def test_hide_leaves_no_plain_text() -> None:
    hidden, _ = hide("challenge", CHALLENGE, counted_salts())
    assert hidden == {
        "about": "the count",
        "text": commit(bytes(32), "It is off by one."),
        "evidence": commit((1).to_bytes(32, "big"), "See page 3."),
    }


def test_hide_gives_the_texts_by_path() -> None:
    _, disclosures = hide("challenge", CHALLENGE, counted_salts())
    assert {path: found.text for path, found in disclosures.items()} == {
        "text": "It is off by one.",
        "evidence": "See page 3.",
    }


def test_hide_takes_a_fresh_salt_for_each_field() -> None:
    _, disclosures = hide("challenge", CHALLENGE, counted_salts())
    assert len({found.salt for found in disclosures.values()}) == len(disclosures)


def test_hide_changes_nothing_that_it_was_given() -> None:
    payload = {"formal": {"statement": "1 + 1 = 2"}}
    hide("replication_record", payload, counted_salts())
    assert payload == {"formal": {"statement": "1 + 1 = 2"}}


def test_hide_reaches_a_nested_field() -> None:
    hidden, disclosures = hide("replication_record", FORMAL, lambda: SALT)
    assert hidden["formal"]["statement"] == secret("1 + 1 = 2")
    assert disclosures == {"formal.statement": disclosed("1 + 1 = 2")}


@pytest.mark.parametrize("payload", [{}, {"reason": None}])
def test_hide_passes_over_what_is_not_there(payload: dict[str, Any]) -> None:
    assert hide("withdrawal", payload, counted_salts()) == (payload, {})


def test_hide_passes_over_types_without_private_text() -> None:
    assert hide("alias_added", {"text": "public"}, counted_salts()) == ({"text": "public"}, {})


def test_hide_refuses_what_is_not_text() -> None:
    with pytest.raises(InvalidFieldError) as refused:
        hide("withdrawal", {"reason": 1}, counted_salts())
    assert refused.value.place == "payload.reason"


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=200), st.binary(min_size=32, max_size=32))
def test_whatever_was_hidden_can_be_checked(text: str, salt: bytes) -> None:
    hidden, disclosures = hide("withdrawal", {"reason": text}, lambda: salt)
    check_disclosures("withdrawal", hidden, disclosures)


def test_a_nested_disclosure_can_be_checked() -> None:
    hidden, disclosures = hide("replication_record", FORMAL, lambda: SALT)
    check_disclosures("replication_record", hidden, disclosures)


def test_nothing_need_be_disclosed() -> None:
    check_disclosures("challenge", COMMITTED, {})


@pytest.mark.parametrize("text", ["It is off by two.", "", "It is off by one. "])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(CommitmentMismatchError) as refused:
        check_disclosures("challenge", COMMITTED, {"text": disclosed(text)})
    assert refused.value.place == "disclosures.text"


def test_another_salt_is_refused() -> None:
    other = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
    with pytest.raises(CommitmentMismatchError):
        check_disclosures("challenge", COMMITTED, {"text": Disclosure(other, "It is off by one.")})


@pytest.mark.parametrize("path", ["about", "evidence", "payload.text", "", "text.text"])
def test_a_path_without_a_commitment_is_refused(path: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        check_disclosures("challenge", COMMITTED, {path: disclosed("It is off by one.")})
    assert refused.value.place == f"disclosures.{path}"


def test_a_type_without_private_text_discloses_nothing() -> None:
    with pytest.raises(InvalidFieldError):
        check_disclosures("alias_added", {"text": secret("x")}, {"text": disclosed("x")})


@pytest.mark.parametrize(
    "salt",
    [
        "",
        SALT_TEXT + "=",
        SALT_TEXT[:-1],
        SALT_TEXT + "A",
        # 32 bytes leave two unused bits in the 43rd character: the next letter sets one.
        SALT_TEXT[:-1] + chr(ord(SALT_TEXT[-1]) + 1),
        "+" * 43,
        "é" * 43,
        SALT_TEXT[:20] + "\n" + SALT_TEXT[20:-1],
    ],
)
def test_a_salt_has_one_spelling(salt: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        decode_salt(salt, "disclosures.text")
    assert refused.value.place == "disclosures.text"


def test_a_disclosure_with_a_respelled_salt_is_refused() -> None:
    respelled = SALT_TEXT[:-1] + chr(ord(SALT_TEXT[-1]) + 1)
    with pytest.raises(InvalidFieldError):
        check_disclosures("challenge", COMMITTED, {"text": Disclosure(respelled, "It is off by one.")})


def test_a_salt_decodes_to_its_32_bytes() -> None:
    assert decode_salt(SALT_TEXT, "here") == SALT


@pytest.mark.parametrize("text", ["a" * (MAX_TEXT_BYTES + 1), "é" * (MAX_TEXT_BYTES // 2 + 1)])
def test_too_long_a_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError):
        check_disclosures("challenge", {"text": secret(text)}, {"text": disclosed(text)})


def test_the_longest_text_is_taken() -> None:
    text = "é" * (MAX_TEXT_BYTES // 2)
    check_disclosures("challenge", {"text": secret(text)}, {"text": disclosed(text)})


@pytest.mark.parametrize(
    "value",
    [
        {"salt": SALT_TEXT, "text": "a" * (MAX_TEXT_BYTES + 1)},
        {"salt": SALT_TEXT + "=", "text": "a"},
        {"salt": SALT_TEXT, "text": "a", "extra": 1},
        {"salt": SALT_TEXT},
    ],
    ids=["too long", "padded", "extra", "without text"],
)
def test_an_ill_formed_disclosure_does_not_even_convert(value: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, Disclosure)


@pytest.mark.parametrize("event_type", PRIVATE_FIELDS)
def test_every_private_field_is_one_of_its_payload(event_type: str) -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(PAYLOADS[event_type])}
    assert {path.split(".")[0] for path in PRIVATE_FIELDS[event_type]} <= fields
