"""Whoever knows a registry's root believes each of its logs, and nothing that was moved from one to another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger import notes
from ledger.checkpoints import Checkpoint, issue
from ledger.errors import KeyRevokedError, LedgerError, VerificationError
from ledger.events import Event
from ledger.log_keys import label_of, log_origin, log_verifier, open_log_checkpoint, stated_label
from ledger.notes import COSIGNATURE, Verifier
from ledger.proofs import receipts
from ledger.proofs.authority import authority_of, identity
from ledger.proofs.trust import Trust
from ledger.proofs.verify_receipt import verify_consistency_file, verify_inclusion_file, verify_receipt_file
from projections import bundles
from projections.verify_bundle import verify_bundle
from tests.builders import ALICE, NUMBER, OTHER_NUMBER, REGISTRY, key
from tests.logs import Log
from tests.many_logs import FIRST_ORIGIN, LABEL, ORIGIN, TwoLogs, an_empty_log_beside, record_beside, two_logs

Document = dict[str, Any]


@pytest.fixture
def logs(tmp_path: Path) -> TwoLogs:
    found = two_logs(tmp_path)
    found.first.checkpoint()
    found.beside.checkpoint()
    return found


def root_of(logs: TwoLogs) -> str:
    return logs.first.store.entry(0).event.id_text


def as_read(document: Document) -> Document:
    return msgspec.json.decode(msgspec.json.encode(document))


def receipt(log: Log, position: int = -1) -> Document:
    return as_read(receipts.receipt(log.store, log.store.entry(position % log.store.head().size)))


def bundle(log: Log, number: str) -> Document:
    return as_read(bundles.bundle(log.store, number))


def failed(verify: Callable[[], object]) -> str:
    """Return the step at which a verification failed."""
    with pytest.raises(VerificationError) as caught:
        verify()
    return caught.value.step


def test_the_first_logs_origin_is_what_it_always_was() -> None:
    assert log_origin("pith.example") == "pith.example/log"
    assert log_origin("pith.example", "2027") == "pith.example/log/2027"


@pytest.mark.parametrize(("origin", "label"), [(FIRST_ORIGIN, ""), (ORIGIN, LABEL), (f"{FIRST_ORIGIN}/a.b-c", "a.b-c")])
def test_an_origin_tells_which_log_it_is(origin: str, label: str) -> None:
    assert label_of(origin, REGISTRY) == label


@pytest.mark.parametrize(
    "origin",
    [
        "other.registry/log",
        "other.registry/log/2027",
        REGISTRY,
        f"{FIRST_ORIGIN}/",
        f"{FIRST_ORIGIN}//2027",
        f"{FIRST_ORIGIN}/2027/1",
        f"{FIRST_ORIGIN}/A",
        f"{FIRST_ORIGIN}/{'a' * 32}",
        f"{FIRST_ORIGIN}2027",
        f"{FIRST_ORIGIN}/2027\n",
        "",
    ],
)
def test_what_is_no_log_of_the_registry_is_refused(origin: str) -> None:
    assert failed(lambda: label_of(origin, REGISTRY)) == "root"


def test_a_note_that_states_no_log_of_the_registry_states_the_first(logs: TwoLogs) -> None:
    assert stated_label(logs.beside.store.checkpoints.published().note, REGISTRY) == LABEL
    assert stated_label(logs.beside.store.checkpoints.published().note, "other.registry") == ""
    assert stated_label(b"nonsense", REGISTRY) == ""


# Each log by itself.


@pytest.mark.parametrize("pinned", [True, False])
def test_one_root_verifies_what_each_log_proves(logs: TwoLogs, pinned: bool) -> None:
    trust = Trust(root_of(logs) if pinned else None)
    for log, number, origin in ((logs.first, NUMBER, FIRST_ORIGIN), (logs.beside, OTHER_NUMBER, ORIGIN)):
        assert receipt(log)["origin"] == origin
        assert any(said.startswith("inclusion") for said in verify_receipt_file(receipt(log), trust))
        assert any(said.startswith("state") for said in verify_bundle(bundle(log, number), trust))


def test_what_is_found_to_hold_names_a_log_beside_the_first(logs: TwoLogs) -> None:
    trust = Trust(root_of(logs))
    assert any(said.endswith(f"log {ORIGIN}") for said in verify_receipt_file(receipt(logs.beside), trust))
    assert not any(ORIGIN in said or FIRST_ORIGIN in said for said in verify_receipt_file(receipt(logs.first), trust))


def test_growth_is_proven_within_a_log(logs: TwoLogs) -> None:
    old = logs.beside.store.checkpoints.published()
    logs.beside.admit(logs.world.graph_snapshot(OTHER_NUMBER))
    proof = as_read(receipts.consistency(logs.beside.store, old, logs.beside.checkpoint()))
    assert verify_consistency_file(proof, Trust(root_of(logs)))
    # Signed by the same key, and with the same first entries, but of another log.
    proof["checkpoints"][0] = logs.first.store.checkpoints.published().note.decode()
    assert failed(lambda: verify_consistency_file(proof, Trust(root_of(logs)))) == "checkpoint"


# What was moved from one log to another.


def test_a_receipt_under_another_logs_checkpoint_fails(logs: TwoLogs) -> None:
    for of, other in ((logs.first, logs.beside), (logs.beside, logs.first)):
        moved = {**receipt(of), "checkpoint": receipt(other)["checkpoint"]}
        assert failed(lambda moved=moved: verify_receipt_file(moved, Trust(root_of(logs)))) == "checkpoint"


def test_an_entry_of_one_log_is_not_proven_by_the_checkpoint_and_origin_of_another(logs: TwoLogs) -> None:
    for of, other in ((logs.first, logs.beside), (logs.beside, logs.first)):
        names = ("checkpoint", "origin", "key_events")
        moved = {**receipt(of), **{name: receipt(other)[name] for name in names}}
        assert failed(lambda moved=moved: verify_receipt_file(moved, Trust(root_of(logs)))) == "inclusion"


def test_a_receipt_that_states_another_log_than_its_checkpoint_fails(logs: TwoLogs) -> None:
    for log, origin in ((logs.first, ORIGIN), (logs.beside, FIRST_ORIGIN), (logs.beside, f"{FIRST_ORIGIN}/2028")):
        stated = {**receipt(log), "origin": origin}
        assert failed(lambda stated=stated: verify_receipt_file(stated, Trust(root_of(logs)))) == "checkpoint"


def test_a_bundle_under_another_logs_checkpoint_fails(logs: TwoLogs) -> None:
    # Of equal size, so that only the origin and the root differ.
    assert logs.first.store.head().size == logs.beside.store.head().size
    for of, number, other in ((logs.first, NUMBER, logs.beside), (logs.beside, OTHER_NUMBER, logs.first)):
        moved = {**bundle(of, number), "checkpoint": other.store.checkpoints.published().note.decode()}
        # The record says itself which log it was made for.
        assert failed(lambda moved=moved: verify_bundle(moved, Trust(root_of(logs)))) == "rule"


def test_a_tlog_proof_holds_under_its_own_logs_key_alone(logs: TwoLogs) -> None:
    raw = receipts.inclusion(logs.beside.store, logs.beside.store.entry(9))
    own, first = (log_verifier(REGISTRY, logs.world.log.key.public_key, label) for label in (LABEL, ""))
    assert verify_inclusion_file(raw, Trust(log_key=own))
    assert failed(lambda: verify_inclusion_file(raw, Trust(log_key=first))) == "checkpoint"


def test_an_identity_opens_the_checkpoints_of_its_own_log_alone(logs: TwoLogs) -> None:
    for log, other in ((logs.first, logs.beside), (logs.beside, logs.first)):
        authority = authority_of(as_read(identity(log.store)), root_of(logs))
        assert authority.open(log.store.checkpoints.published().note).checkpoint.origin == authority.origin
        note = other.store.checkpoints.published().note
        assert failed(lambda authority=authority, note=note: authority.open(note)) == "checkpoint"


def test_an_identity_that_states_another_log_opens_nothing_of_either(logs: TwoLogs) -> None:
    stated = {**as_read(identity(logs.first.store)), "origin": f"{FIRST_ORIGIN}/2028"}
    authority = authority_of(stated, root_of(logs))
    for log in (logs.first, logs.beside):
        note = log.store.checkpoints.published().note
        assert failed(lambda note=note: authority.open(note)) == "checkpoint"


def test_a_checkpoint_renamed_to_another_log_does_not_open(logs: TwoLogs) -> None:
    keys = logs.first.store.registry().keys
    note = logs.first.store.checkpoints.published().note
    for renamed in (
        note.replace(b"/log", f"/log/{LABEL}".encode()),
        note.replace(b"/log", f"/log/{LABEL}".encode(), 1),
    ):
        with pytest.raises(VerificationError):
            open_log_checkpoint(renamed, REGISTRY, keys, label=LABEL)


def test_a_cosignature_of_one_logs_checkpoint_is_none_of_anothers(logs: TwoLogs) -> None:
    witness = key("a witness")
    verifier = Verifier("witness.example/w", COSIGNATURE, witness.public_key)
    first, beside = (log.store.checkpoints.published() for log in (logs.first, logs.beside))
    line = notes.cosign(notes.parse(first.note).text, verifier.name, witness, 1_767_139_200)
    with pytest.raises(VerificationError):
        logs.beside.store.checkpoints.add_cosignatures(beside.size, {verifier: line})
    logs.first.store.checkpoints.add_cosignatures(first.size, {verifier: line})


# A log that nobody was told of.


def secret_log(folder: Path, logs: TwoLogs) -> Log:
    """Return a log with all of the registry's keys that its policy does not name."""
    secret = an_empty_log_beside(folder, logs.first, "secret")
    secret.store.copy_shared(list(logs.first.store.of_registry(0, 9)))
    return secret


def test_a_log_that_policy_does_not_name_signs_nothing(logs: TwoLogs, tmp_path: Path) -> None:
    secret = secret_log(tmp_path, logs)
    assert failed(secret.checkpoint) == "checkpoint"


def test_the_checkpoint_of_a_log_that_policy_does_not_name_is_refused(logs: TwoLogs) -> None:
    origin, root = f"{FIRST_ORIGIN}/secret", logs.beside.store.tree.root(10)
    note = issue(Checkpoint(origin, 10, root), logs.world.log.key).format()
    forged = {**receipt(logs.beside), "origin": origin, "checkpoint": note.decode()}
    with pytest.raises(VerificationError, match="names no log 'secret'"):
        verify_receipt_file(forged, Trust(root_of(logs)))
    with pytest.raises(LedgerError):
        verify_bundle({**bundle(logs.beside, OTHER_NUMBER), "checkpoint": note.decode()}, Trust(root_of(logs)))


def test_a_log_is_the_registrys_from_the_policy_that_names_it_on(tmp_path: Path, log: Log) -> None:
    late = an_empty_log_beside(tmp_path, log, "late")
    late.store.copy_shared(list(log.store.of_registry(0, 8)))
    size = late.store.head().size
    named = log.admit(log.world.policy(logs=["late"]))
    late.store.copy_shared([named])
    created = late.admit(record_beside(log.world, "late"))
    assert created.position == size + 1
    opened = late.store.registry().open_checkpoint(late.checkpoint().note)
    assert opened.checkpoint.origin == f"{FIRST_ORIGIN}/late"
    early = issue(Checkpoint(f"{FIRST_ORIGIN}/late", size, late.store.tree.root(size)), log.world.log.key).format()
    assert failed(lambda: late.store.registry().open_checkpoint(early)) == "checkpoint"


def test_a_key_that_was_revoked_signs_in_no_log_once_that_is_shared(logs: TwoLogs) -> None:
    def citation() -> Event:
        payload = {"citing": "arxiv:2606.00002", "relationship": "supports"}
        return logs.world.event(ALICE, "citation_signature", payload, subject=OTHER_NUMBER)

    logs.beside.admit(citation())
    logs.first.admit(logs.world.revocation(ALICE))
    logs.share()
    assert type(logs.beside.refusal(citation())) is KeyRevokedError
