"""`pith moderate`: what waits, what it says, and decisions by a moderator's key file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.appending import Submission
from ledger.commitments import Disclosure
from ledger.events import Event
from ledger.keys import Role
from ledger.signing import HeldKey, Signatory
from ops.home import Home, create_home, now, open_home
from ops.importers import files
from ops.importers.run import Report, import_sources
from ops.keyfiles import write_key
from ops.settings import Settings
from tests.builders import HASH, REGISTRY, key
from tests.ops.homes import BASE_URL, a_line, as_lines
from tests.processes import Pith, Result

TEXT = "I wrote this.\nEvery word of it."
HOSTILE = "\x1b[31mred\x1b[0m \u202eback"


@dataclass(frozen=True, slots=True)
class Desk:
    """A registry with one paper, one author's key and one moderator's."""

    pith: Pith
    number: str
    author: Signatory
    keys: Path

    def claim(self, text: str = TEXT) -> Event:
        """Let the author say that the paper is theirs; it is held."""
        claim = {"author_name": "A. Author", "statement": text}
        return self.append(*self.author.sign("author_attestation", self.number, claim))

    def append(self, event: Event, disclosures: dict[str, Disclosure]) -> Event:
        home = self.home()
        try:
            home.append([Submission(event, disclosures)])
        finally:
            home.close()
        return event

    def home(self) -> Home:
        return open_home(Settings(self.pith.data, BASE_URL))

    def size(self) -> int:
        home = self.home()
        try:
            return home.store.head().size
        finally:
            home.close()

    def moderate(self, *arguments: object) -> Result:
        return self.pith("moderate", *arguments)

    def decide(self, decision: str, event: Event, *arguments: object) -> Result:
        return self.moderate(decision, event.id_text, "--key", self.keys / "moderator.json", *arguments)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    home = create_home(Settings(folder / "data", BASE_URL), REGISTRY)
    paper = folder / "paper.jsonl"
    paper.write_bytes(as_lines([a_line(1)]))
    import_sources(home, files.sources(paper), Report(), lambda _: None)
    registry = home.signatory("event")

    def person(name: str, role: Role) -> Signatory:
        held = HeldKey(key(name), REGISTRY, f"name:{name}", role)
        write_key(folder / f"{name}.json", held)
        signatory = Signatory(held, now, os.urandom)
        by = signatory if role == "contributor" else registry
        home.append([Submission(by.sign("key_registered", "registry", signatory.statement())[0])])
        return signatory

    author = person("alice", "contributor")
    person("moderator", "moderator")
    home.catch_up()
    home.close()
    return Desk(Pith.at(folder / "data"), files.draft_from_json(paper.read_bytes()).subject, author, folder)


def test_what_waits_is_listed_oldest_first(desk: Desk) -> None:
    claims = [desk.claim().id_text for _ in range(3)]
    listed = desk.moderate("list", "--json").json
    assert [row["event_id"] for row in listed][-3:] == claims
    assert {row["status"] for row in listed} == {"held"} and not any("payload" in row for row in listed)
    positions = [row["position"] for row in listed]
    assert positions == sorted(positions)
    page = desk.moderate("list", "--json", "--after", positions[-2], "--limit", 1).json
    assert [row["event_id"] for row in page] == claims[-1:]
    for_people = desk.moderate("list").out
    assert all(claim[:19] in for_people for claim in claims) and "name:alice" in for_people


def test_nothing_of_a_status_is_said_so(desk: Desk) -> None:
    assert desk.moderate("list", "--status", "revoked").out == "nothing is revoked\n"


def test_what_was_said_is_shown_with_its_texts(desk: Desk) -> None:
    claim = desk.claim()
    found = desk.moderate("show", claim.id_text, "--json").json
    assert found["texts"] == {"statement": TEXT} and found["payload"] == claim.value["payload"]
    lines = desk.moderate("show", claim.id_text).out.splitlines()
    assert any(line.endswith("statement            I wrote this.") for line in lines)
    assert any(line.strip() == "Every word of it." for line in lines)
    assert claim.value["payload"]["statement"] not in "".join(lines)


def test_a_position_names_an_event_too(desk: Desk) -> None:
    claim = desk.claim()
    assert desk.moderate("show", desk.size() - 1, "--json").json["event_id"] == claim.id_text


def test_foreign_texts_cannot_steer_a_terminal(desk: Desk) -> None:
    claim = desk.claim(HOSTILE)
    for arguments in (("show", claim.id_text), ("show", claim.id_text, "--json")):
        out = desk.moderate(*arguments).out
        assert "red" in out and "\x1b" not in out and "\u202e" not in out


@pytest.mark.parametrize(
    ("command", "decision", "status"),
    [("accept", "accepted", "counted"), ("reject", "rejected", "rejected"), ("redact", "redacted", "redacted")],
)
def test_a_decision_is_signed_appended_and_takes_effect(desk: Desk, command: str, decision: str, status: str) -> None:
    claim = desk.claim()
    done = desk.decide(command, claim, "--reason", "seen", "--json")
    assert (done.code, done.json["status"]) == (0, status), done.err
    home = desk.home()
    try:
        entry = home.store.entry(done.json["decided_at"])
        texts = home.store.disclosures([entry.position, home.store.find(claim.event_id).position])
    finally:
        home.close()
    assert entry.event.id_text == done.json["decision"] and entry.event.signer.signer_id == "name:moderator"
    assert (entry.event.payload.decision, entry.event.target) == (decision, claim.id_text)
    assert texts[entry.position]["reason"].text == "seen" and len(texts) == (1 if command == "redact" else 2)
    assert claim.id_text in desk.moderate("list", "--status", status, "--json").out
    assert claim.id_text not in desk.moderate("list", "--json").out


def test_an_acceptance_needs_no_reason_and_tells_people_what_became_of_it(desk: Desk) -> None:
    claim = desk.claim()
    done = desk.decide("accept", claim)
    assert done.code == 0 and claim.id_text in done.out and done.out.rstrip().endswith("counted")


REFUSED: dict[str, tuple[Callable[[Desk], tuple[object, ...]], str]] = {
    "a rejection without a reason": (
        lambda d: ("reject", d.claim().id_text, "--key", d.keys / "moderator.json"),
        "--reason",
    ),
    "no key": (lambda d: ("accept", d.claim().id_text), "no key is given"),
    "a key that is not there": (lambda d: ("accept", d.claim().id_text, "--key", d.keys / "none.json"), "key file"),
    "a contributor's key": (
        lambda d: ("accept", d.claim().id_text, "--key", d.keys / "alice.json"),
        "signer-not-allowed",
    ),
    "no such event": (lambda d: ("accept", f"sha256:{HASH}", "--key", d.keys / "moderator.json"), "not-found"),
    "no event id": (lambda d: ("show", "sha256:abc"), "neither an event id nor a position"),
    "a position past the end": (lambda d: ("show", "99999"), "not-found"),
    "what nobody decides on": (
        lambda d: ("reject", "0", "--reason", "x", "--key", d.keys / "moderator.json"),
        "key_reg",
    ),
    "no status": (lambda d: ("list", "--status", "refused"), "--status"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_in_words_and_leaves_nothing(desk: Desk, case: str) -> None:
    make, said = REFUSED[case]
    arguments = make(desk)
    before = desk.size()
    done = desk.moderate(*arguments)
    assert (done.code, done.crashed) == (2, False) and said in done.err, done.err
    assert desk.size() == before


def test_a_mirror_decides_nothing(desk: Desk, tmp_path: Path) -> None:
    claim = desk.claim()
    marker = Settings(desk.pith.data, BASE_URL).followed_path
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_bytes(b"")
    try:
        done = desk.decide("accept", claim)
    finally:
        marker.unlink()
    assert done.code == 2 and "mirror" in done.err
