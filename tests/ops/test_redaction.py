"""Redaction: a private text can be taken out of a ledger for good, and every proof stays as good as it was."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from ledger.appending import Appended, Submission
from ledger.commitments import MAX_TEXT_BYTES, Disclosure, commit
from ledger.database import Database, open_sqlite
from ledger.events import Event
from ledger.proofs import receipts
from ledger.proofs.trust import Trust
from ledger.store import Store, create_log
from ledger.tables import DISCLOSURES
from ledger.tiles import tiles_written
from ops.export import export
from ops.verify import verify_path
from projections import bundles
from projections.queries import record_as_of
from projections.rebuild import replay, state_digest
from projections.runner import Runner, open_projections
from tests.builders import ALICE, BOB, MODERATOR, NUMBER, REGISTRY, World
from tests.logs import Log, Ticking
from tests.ops.proofs import entry_of, failed_step, files_of, root_of_log, written

KINDS = {
    "a statement": "author_attestation",
    "a quote": "citation_signature",
    "a formal statement": "replication_record",
    "a challenge": "challenge",
    "a response": "challenge_response",
}
"""What carries private text and can be redacted."""


def private(name: str, length: int = 64) -> tuple[str, Disclosure]:
    """Return a commitment to a text that is like no other in any of its parts, and what opens it."""
    salt = hashlib.sha256(f"salt of {name}".encode()).digest()
    content = random.Random(name).randbytes(length).hex()[:length]
    salt_text = base64.urlsafe_b64encode(salt).decode().rstrip("=")
    return commit(salt, content), Disclosure(salt_text, content)


@dataclass(slots=True)
class Ledger:
    """A log with its projections, both as files that are searched byte by byte."""

    folder: Path
    log: Log
    database: Database
    projections: Database
    texts: dict[str, dict[str, Disclosure]] = field(default_factory=dict)
    said: dict[str, Event] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path) -> Ledger:
        database = open_sqlite(folder / "log.sqlite")
        create_log(database, REGISTRY)
        log = Log(World(), Store(database))
        log.admit(*log.world.opening(), *log.world.people(), log.world.record_created())
        log.admit(log.world.moderation_policy(unverified_keys="accepted", replications="accepted"))
        projections = open_sqlite(folder / "projections.sqlite", durable=False)
        open_projections(log.store, projections)
        return cls(folder, log, database, projections)

    def say(self, name: str, event: Event, texts: Mapping[str, Disclosure]) -> None:
        (outcome,) = self.log.store.append([Submission(event, dict(texts))], self.log.clock)
        assert isinstance(outcome, Appended)
        self.said[name], self.texts[name] = event, dict(texts)

    def redact(self, name: str) -> Event:
        decision = self.log.world.decision(self.said[name], "redacted", MODERATOR)
        self.log.admit(decision)
        return decision

    def catch_up(self) -> None:
        Runner(self.log.store, self.projections).catch_up()

    def kept(self) -> dict[int, dict[str, Disclosure]]:
        return self.log.store.disclosures([entry_of(self.log, event).position for event in self.said.values()])

    def close(self) -> None:
        self.database.close()
        self.projections.close()


def everything_said(ledger: Ledger) -> None:
    """Say one of each kind of statement that carries a private text, and one that stays."""
    world = ledger.log.world
    for name, (hidden, shown) in {name: private(name) for name in (*KINDS, "what stays")}.items():
        match name:
            case "a statement" | "what stays":
                who = ALICE if name == "a statement" else BOB
                ledger.say(name, world.author(who, statement=hidden), {"statement": shown})
            case "a quote":
                ledger.say(name, world.citation(quote=hidden), {"quote": shown})
            case "a formal statement":
                formal = {"system": "Lean 4", "statement": hidden, "commit": "abc"}
                ledger.say(name, world.replication(formal=formal), {"formal.statement": shown})
            case "a challenge":
                second, evidence = private("the evidence of a challenge", MAX_TEXT_BYTES)
                event = world.challenge(text=hidden, evidence=second)
                ledger.say(name, event, {"text": shown, "evidence": evidence})
            case "a response":
                target = ledger.said["a challenge"].id_text
                payload = {"about": "it", "text": hidden}
                response = world.event(BOB, "challenge_response", payload, target=target)
                ledger.say(name, response, {"text": shown})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger.at(tmp_path)
    everything_said(found)
    found.log.checkpoint()
    found.catch_up()
    yield found
    found.close()


def raw_files(folder: Path) -> bytes:
    """Return every byte of every database file in a folder, side files included."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.sqlite*")))


def traces(ledger: Ledger, name: str, raw: bytes) -> list[str]:
    """Return which secrets of a statement stand in some bytes: parts of its texts, its salts in any form."""
    found = []
    for path, shown in ledger.texts[name].items():
        salt = base64.urlsafe_b64decode(shown.salt + "=")
        secrets = {"salt": shown.salt.encode(), "raw salt": salt, "salt in hex": salt.hex().encode()}
        secrets |= {f"text from {at}": shown.text[at : at + 16].encode() for at in range(0, len(shown.text) - 15, 16)}
        found += [f"{path}: {what}" for what, secret in secrets.items() if secret in raw]
    return found


def flushed(ledger: Ledger) -> bytes:
    """Return the files' bytes once SQLite has moved its write-ahead log into them."""
    for name in ("log.sqlite", "projections.sqlite"):
        with closing(sqlite3.connect(ledger.folder / name)) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    return raw_files(ledger.folder)


# The text is gone.


@pytest.mark.parametrize("name", KINDS)
def test_a_text_stands_in_the_files_until_it_is_redacted(ledger: Ledger, name: str) -> None:
    assert traces(ledger, name, flushed(ledger)) != []


@pytest.mark.parametrize("name", KINDS)
def test_a_redacted_text_and_its_salt_are_gone_from_the_table(ledger: Ledger, name: str) -> None:
    ledger.redact(name)
    assert entry_of(ledger.log, ledger.said[name]).position not in ledger.kept()


@pytest.mark.parametrize("name", KINDS)
def test_a_redacted_text_and_its_salt_are_gone_from_every_byte_of_the_files(ledger: Ledger, name: str) -> None:
    ledger.redact(name)
    ledger.catch_up()
    assert traces(ledger, name, flushed(ledger)) == []


@pytest.mark.parametrize("name", KINDS)
def test_a_redacted_text_is_gone_at_once_while_the_files_are_open(ledger: Ledger, name: str) -> None:
    ledger.redact(name)
    assert traces(ledger, name, raw_files(ledger.folder)) == []


def test_a_redaction_waits_for_no_reader_for_long_and_the_next_one_takes_its_text_along(ledger: Ledger) -> None:
    with closing(sqlite3.connect(ledger.folder / "log.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        ledger.redact("a statement")
        reader.execute("COMMIT")
    ledger.redact("a quote")
    assert traces(ledger, "a statement", raw_files(ledger.folder)) == []


@pytest.mark.parametrize("name", KINDS)
def test_a_redacted_text_is_gone_once_the_files_are_closed(ledger: Ledger, name: str) -> None:
    ledger.redact(name)
    ledger.close()
    assert traces(ledger, name, raw_files(ledger.folder)) == []


def test_other_texts_stay(ledger: Ledger) -> None:
    for name in KINDS:
        ledger.redact(name)
    assert ledger.kept() == {entry_of(ledger.log, ledger.said["what stays"]).position: ledger.texts["what stays"]}


def test_every_text_is_gone_when_many_are_redacted(ledger: Ledger) -> None:
    for name in KINDS:
        ledger.redact(name)
    raw = flushed(ledger)
    assert {name: traces(ledger, name, raw) for name in KINDS} == {name: [] for name in KINDS}


def test_a_text_that_comes_with_its_redaction_in_one_batch_is_never_kept(tmp_path: Path) -> None:
    ledger = Ledger.at(tmp_path)
    hidden, shown = private("a statement")
    claim = ledger.log.world.author(statement=hidden)
    batch = [Submission(claim, {"statement": shown}), Submission(ledger.log.world.decision(claim, "redacted"))]
    assert all(isinstance(outcome, Appended) for outcome in ledger.log.store.append(batch, ledger.log.clock))
    ledger.said["a statement"], ledger.texts["a statement"] = claim, {"statement": shown}
    assert (ledger.kept(), traces(ledger, "a statement", flushed(ledger))) == ({}, [])


@pytest.mark.parametrize("decision", ["accepted", "rejected"])
def test_only_a_redaction_takes_texts_away(ledger: Ledger, decision: str) -> None:
    before = ledger.kept()
    ledger.log.admit(ledger.log.world.decision(ledger.said["a quote"], decision))
    assert ledger.kept() == before


# It does not come back.


def disclose(ledger: Ledger, name: str) -> object:
    submission = Submission(ledger.said[name], ledger.texts[name])
    (outcome,) = ledger.log.store.append([submission], ledger.log.clock)
    return outcome


@pytest.mark.parametrize("name", KINDS)
def test_a_redacted_text_is_not_taken_again(ledger: Ledger, name: str) -> None:
    ledger.redact(name)
    outcome = disclose(ledger, name)
    assert isinstance(outcome, Appended)
    assert (outcome.created, ledger.kept().get(outcome.entry.position)) == (False, None)


def test_a_redacted_text_is_not_taken_again_by_another_process(ledger: Ledger) -> None:
    ledger.redact("a quote")
    again = Store(open_sqlite(ledger.folder / "log.sqlite"))
    again.append([Submission(ledger.said["a quote"], ledger.texts["a quote"])], Ticking("2026-07-01T00:00:00Z"))
    assert traces(ledger, "a quote", flushed(ledger)) == []


def test_a_redacted_text_is_not_taken_again_after_a_later_decision(ledger: Ledger) -> None:
    ledger.redact("a quote")
    ledger.log.admit(ledger.log.world.decision(ledger.said["a quote"], "accepted"))
    disclose(ledger, "a quote")
    assert traces(ledger, "a quote", flushed(ledger)) == []


def test_a_redacted_text_is_not_taken_again_with_a_second_decision_in_the_same_batch(ledger: Ledger) -> None:
    quote = ledger.said["a quote"]
    batch = [
        Submission(ledger.log.world.decision(quote, "redacted")),
        Submission(quote, ledger.texts["a quote"]),
        Submission(ledger.log.world.decision(quote, "accepted")),
    ]
    ledger.log.store.append(batch, ledger.log.clock)
    assert traces(ledger, "a quote", flushed(ledger)) == []


# Every proof stays.


@dataclass(frozen=True, slots=True)
class Proofs:
    """What a ledger handed out about everything that was said."""

    root: bytes
    size: int
    tiles: dict[str, bytes]
    receipts: dict[str, Any]
    bundle: Any

    @classmethod
    def of(cls, ledger: Ledger, size: int) -> Proofs:
        store = ledger.log.store
        tiles = {tile.path(): store.tree.tile(tile, size) for tile in tiles_written(0, size)}
        found = {
            name: json.loads(msgspec.json.encode(receipts.receipt(store, entry_of(ledger.log, event))))
            for name, event in ledger.said.items()
        }
        return cls(
            store.tree.root(size), size, tiles, found, json.loads(msgspec.json.encode(bundles.bundle(store, NUMBER)))
        )


def test_the_tree_and_its_tiles_are_as_they_were(ledger: Ledger) -> None:
    before = Proofs.of(ledger, ledger.log.store.head().size)
    ledger.redact("a quote")
    after = Proofs.of(ledger, before.size)
    assert (after.root, after.tiles) == (before.root, before.tiles)


@pytest.mark.parametrize("name", KINDS)
def test_a_receipt_from_before_verifies_as_before(ledger: Ledger, tmp_path: Path, name: str) -> None:
    receipt = Proofs.of(ledger, ledger.log.store.head().size).receipts[name]
    ledger.redact(name)
    assert failed_step(written(tmp_path, receipt), root=root_of_log(ledger.log)) == "verified"


@pytest.mark.parametrize("name", KINDS)
def test_a_redacted_statement_still_gets_a_receipt(ledger: Ledger, tmp_path: Path, name: str) -> None:
    ledger.redact(name)
    ledger.log.checkpoint()
    receipt = Proofs.of(ledger, ledger.log.store.head().size).receipts[name]
    assert failed_step(written(tmp_path, receipt), root=root_of_log(ledger.log)) == "verified"


def test_a_bundle_from_before_verifies_as_before(ledger: Ledger, tmp_path: Path) -> None:
    bundle = Proofs.of(ledger, ledger.log.store.head().size).bundle
    ledger.redact("a quote")
    assert failed_step(written(tmp_path, bundle), root=root_of_log(ledger.log)) == "verified"


def test_a_new_bundle_says_that_it_was_redacted(ledger: Ledger, tmp_path: Path) -> None:
    ledger.redact("a quote")
    ledger.log.checkpoint()
    bundle = Proofs.of(ledger, ledger.log.store.head().size).bundle
    assert bundle["state"]["verdicts"][ledger.said["a quote"].id_text] == "redacted"
    assert failed_step(written(tmp_path, bundle), root=root_of_log(ledger.log)) == "verified"


def test_the_decision_itself_is_provable(ledger: Ledger, tmp_path: Path) -> None:
    decision = ledger.redact("a quote")
    ledger.log.checkpoint()
    receipt = json.loads(msgspec.json.encode(receipts.receipt(ledger.log.store, entry_of(ledger.log, decision))))
    assert receipt["event"]["target"] == ledger.said["a quote"].id_text
    assert failed_step(written(tmp_path, receipt), root=root_of_log(ledger.log)) == "verified"


def test_a_replay_comes_to_the_state_that_was_reached_step_by_step(ledger: Ledger) -> None:
    ledger.redact("a quote")
    ledger.catch_up()
    assert replay(ledger.log.store, ledger.log.store.head().size) == state_digest(ledger.projections)


def test_views_of_the_time_before_still_count_it(ledger: Ledger) -> None:
    size = ledger.log.store.head().size
    before = msgspec.json.encode(record_as_of(ledger.log.store, NUMBER, size, ledger.log.store.registry()))
    ledger.redact("a quote")
    after = msgspec.json.encode(record_as_of(ledger.log.store, NUMBER, size, ledger.log.store.registry()))
    assert before == after


# No file that is handed out ever holds it.


@pytest.mark.parametrize("name", [*KINDS, "what stays"])
@pytest.mark.parametrize("redacted", [True, False], ids=["redacted", "as it is"])
def test_no_receipt_bundle_or_export_holds_a_private_text_or_its_salt(
    ledger: Ledger, tmp_path: Path, name: str, redacted: bool
) -> None:
    if redacted and name in KINDS:
        ledger.redact(name)
    size = ledger.log.checkpoint().size
    proofs = Proofs.of(ledger, size)
    export(
        ledger.log.store,
        tmp_path / "export",
        ledger.log.store.checkpoints.published(),
        replay(ledger.log.store, size),
        lambda _: None,
    )
    exported = b"".join((tmp_path / "export" / file).read_bytes() for file in files_of(tmp_path / "export"))
    proof = receipts.inclusion(ledger.log.store, entry_of(ledger.log, ledger.said[name]))
    extra = base64.b64decode(proof.split(b"\n")[1][6:])
    handed_out = json.dumps([proofs.receipts, proofs.bundle]).encode() + exported + proof + extra
    assert traces(ledger, name, handed_out) == []


def test_an_export_of_a_redacted_log_verifies(ledger: Ledger, tmp_path: Path) -> None:
    ledger.redact("a challenge")
    size = ledger.log.checkpoint().size
    export(
        ledger.log.store,
        tmp_path / "export",
        ledger.log.store.checkpoints.published(),
        replay(ledger.log.store, size),
        lambda _: None,
    )
    assert verify_path(tmp_path / "export", Trust(root_of_log(ledger.log)))


def test_only_what_is_not_redacted_can_be_shown_by_the_table(ledger: Ledger) -> None:
    for name in KINDS:
        ledger.redact(name)
    with ledger.database.read() as connection:
        shown = connection.execute(select(DISCLOSURES.c.text)).scalars().all()
    assert shown == [ledger.texts["what stays"]["statement"].text]
