"""What people see: foreign text cannot steer a terminal, style itself or pass as the program's own words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import records
from ledger.appending import Submission
from ledger.keys import SecretKey
from ledger.signatures import issue_receipt
from ops.home import Home, create_home
from ops.keyfiles import read_key
from ops.settings import Settings
from tests.builders import REGISTRY, World, a_record, contributor
from tests.ops.homes import BASE_URL
from tests.processes import Pith, Result

HOSTILE = "Innocent \x1b]0;owned\x07\x1b[31mRed\x9b2J \x7f\x08 [bold]loud[/bold] :warning:"
SECOND_LINE = "ok  everything was verified"


@pytest.fixture(scope="module")
def pith(tmp_path_factory: pytest.TempPathFactory) -> Pith:
    """A registry that holds papers whose titles try everything, one of them cited under a `did:key:` name."""
    made = Pith.at(tmp_path_factory.mktemp("terminal") / "data")
    home = create_home(Settings(made.data, BASE_URL), REGISTRY)
    for at, title in enumerate((HOSTILE, f"Innocent\n{SECOND_LINE}"), 1):
        _record(home, f"2606.0000{at}", title)
    home.catch_up()
    home.close()
    return made


def _record(home: Home, ident: str, title: str) -> None:
    record, paper = a_record(title, ident=ident)
    digest = records.identify(record).digest
    receipt = issue_receipt(SecretKey(read_key(home.settings.keys / "receipt.json").key.seed()), digest, "now")
    payload = {
        "canonical_record": record,
        "canonical_sha256": digest.hex(),
        "pith_receipt": receipt,
        "paper": {**paper, "authors": [], "authors_text": title, "submitted_at": title},
        "aliases": [{"alias_kind": "arxiv", "alias_value": ident}],
    }
    number = records.identify(record).number
    home.append([Submission(home.signatory("event").sign("record_created", number, payload)[0])])


COMMANDS: dict[str, Callable[[Pith], Result]] = {
    "show": lambda pith: pith("show", "2606.00001"),
    "find by name": lambda pith: pith("find", "2606.00001"),
    "find by word": lambda pith: pith("find", "owned"),
    "history": lambda pith: pith("history", "2606.00001"),
}


@pytest.fixture(scope="module")
def said(pith: Pith) -> dict[str, str]:
    return {name: command(pith).out for name, command in COMMANDS.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_control_character_reaches_the_terminal(said: dict[str, str], name: str) -> None:
    controls = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))} - {"\n"}
    assert not controls & set(said[name])


@pytest.mark.parametrize("name", ["show", "find by name", "find by word"])
def test_markup_in_a_title_is_shown_as_it_stands(said: dict[str, str], name: str) -> None:
    assert "[bold]loud[/bold]" in said[name]


@pytest.mark.parametrize("name", ["show", "find by name", "find by word"])
def test_a_word_between_colons_is_shown_as_it_stands(said: dict[str, str], name: str) -> None:
    assert ":warning:" in said[name]


@pytest.mark.parametrize("command", ["show", "find"])
def test_a_title_cannot_pass_as_a_line_of_the_program(pith: Pith, command: str) -> None:
    assert SECOND_LINE not in pith(command, "2606.00002").out.splitlines()


def test_an_unknown_name_cannot_steer_the_terminal(pith: Pith) -> None:
    assert "\x1b" not in pith("show", "\x1b[31m").err


def test_a_signer_named_by_key_is_shown_as_they_stand(tmp_path: Path) -> None:
    signer_id = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
    pith = Pith.at(tmp_path / "data")
    home = create_home(Settings(pith.data, BASE_URL), REGISTRY)
    world = World()
    registration = world.registration(contributor("did", signer_id), not_before="2020-01-01T00:00:00Z")
    home.append([Submission(registration)])
    home.close()
    assert signer_id in pith.fine("history", "registry").out


def test_a_reader_who_has_seen_enough_is_no_error(pith: Pith) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = pith.start("history", "registry", "--json", out=writing)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
