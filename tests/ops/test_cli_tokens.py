"""`pith token`: made once, listed without its secret, revoked for good; a running server sees each at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.processes import Pith


@pytest.fixture
def pith(tmp_path: Path) -> Pith:
    pith = Pith.at(tmp_path / "data")
    pith.fine("init", "press.example")
    return pith


def test_a_token_is_shown_once(pith: Pith) -> None:
    made = pith.fine("token", "new", "anna", "--json").json
    assert made["name"] == "anna" and re.fullmatch(r"pith_[A-Za-z0-9_-]{43}", made["token"])
    listed = pith.fine("token", "list", "--json")
    assert [token["name"] for token in listed.json] == ["anna"] and listed.json[0]["revoked_at"] is None
    assert made["token"] not in listed.out + pith.fine("token", "list").out
    assert made["token"].encode() not in (pith.data / "private.db").read_bytes()


def test_for_people_it_stands_on_a_line_of_its_own(pith: Pith) -> None:
    out = pith.fine("token", "new", "anna").out
    assert re.search(r"^token +pith_[A-Za-z0-9_-]{43}$", out, re.MULTILINE)


def test_every_token_is_another(pith: Pith) -> None:
    found = {pith.fine("token", "new", name, "--json").json["token"] for name in ("anna", "bert")}
    assert len(found) == 2


def test_a_revoked_token_stays_listed_and_its_name_taken(pith: Pith) -> None:
    pith.fine("token", "new", "anna")
    pith.fine("token", "revoke", "anna")
    first = pith.fine("token", "list", "--json").json
    pith.fine("token", "revoke", "anna")
    assert pith.fine("token", "list", "--json").json == first and first[0]["revoked_at"]
    again = pith("token", "new", "anna")
    assert (again.code, again.crashed) == (2, False) and "another name" in again.err


@pytest.mark.parametrize("name", ["", "Anna", "a b", "a" * 64, "a\x1b[31m"])
def test_other_names_are_refused(pith: Pith, name: str) -> None:
    result = pith("token", "new", name)
    assert (result.code, result.crashed) == (2, False) and "\x1b" not in result.err


def test_what_is_not_there_cannot_be_revoked(pith: Pith) -> None:
    result = pith("token", "revoke", "nobody")
    assert (result.code, result.crashed) == (2, False) and "pith token list" in result.err


def test_without_a_ledger_there_are_no_tokens(tmp_path: Path) -> None:
    result = Pith.at(tmp_path / "nothing")("token", "new", "anna")
    assert result.code == 2 and "pith init" in result.err and not (tmp_path / "nothing").exists()
