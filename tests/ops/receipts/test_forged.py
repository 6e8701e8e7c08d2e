"""What a forger does to a receipt, and the named step at which it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import VerificationError
from ledger.events import Entry, Event
from ledger.keys import EVENT_DOMAIN
from ledger.proofs.trust import Trust
from ops.verify import verify_path
from tests.builders import ALICE, BOB, MODERATOR, SUCCESSOR, Who, World, as_signer
from tests.forgeries import another_signature, with_signature
from tests.logs import Log
from tests.ops.false_notes import FALSE_NOTES, FOREIGN_NOTES, STRANGERS_LINES, SpoilNote, a_note
from tests.ops.forged import Forged
from tests.ops.proofs import (
    FORMS,
    LIES,
    NO_ROOT,
    Spoil,
    a_receipt,
    changed,
    failed_step,
    first_of,
    more,
    put,
    reidentified,
    with_citations,
    without,
    written,
)

# The event and its place.


def another_statement(receipt: dict[str, Any]) -> None:
    receipt["event"]["payload"]["author_name"] = "Somebody Else"
    reidentified(receipt["event"])


def another_signers_key(receipt: dict[str, Any]) -> None:
    receipt["event"]["signer"] |= {"key_id": "0" * 64, "public_key_fingerprint": "0" * 32}
    reidentified(receipt["event"])


def another_signers_name(receipt: dict[str, Any]) -> None:
    receipt["event"]["signer"]["signer_id"] = "name:somebody"
    reidentified(receipt["event"])


def anothers_signature(receipt: dict[str, Any]) -> None:
    receipt["event"]["signature_b64"] = receipt["key_events"][0]["signature_b64"]


def at_the_end(receipt: dict[str, Any]) -> None:
    receipt["position"] = int(receipt["checkpoint"].split("\n")[1])


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        pytest.param(put("receipt_version", value="2.0"), "usage", id="a version nobody knows"),
        pytest.param(without("receipt_version"), "canonical form", id="no version"),
        pytest.param(put("event", "nonce", value="A" * 22), "canonical form", id="an event that has another id"),
        pytest.param(put("event", "extra", value=1), "canonical form", id="a field that events do not have"),
        pytest.param(put("event", value=7), "canonical form", id="an event of the wrong kind"),
        pytest.param(without("event"), "canonical form", id="no event"),
        pytest.param(put("position", value="8"), "canonical form", id="a position of the wrong kind"),
        pytest.param(put("position", value=True), "canonical form", id="a position that is no number"),
        pytest.param(put("position", value=-1), "canonical form", id="a negative position"),
        pytest.param(put("received_at", value=1.5), "canonical form", id="a time of the wrong kind"),
        pytest.param(put("received_at", value=2**53), "canonical form", id="a time beyond all times"),
        pytest.param(put("key_events", value=None), "canonical form", id="key events of the wrong kind"),
        pytest.param(put("key_events", 1, value=7), "canonical form", id="a key event of the wrong kind"),
        pytest.param(put("anchors", value=None), "canonical form", id="anchors of the wrong kind"),
        pytest.param(put("checkpoint", value=None), "canonical form", id="a checkpoint of the wrong kind"),
        pytest.param(put("registry", value="other.registry"), "root", id="another registry"),
        pytest.param(put("registry", value="no name"), "root", id="a registry that cannot be"),
        pytest.param(without("root"), "root", id="no root"),
        pytest.param(put("root", value=NO_ROOT), "root", id="another root"),
        pytest.param(put("origin", value="other.registry/log"), "root", id="another origin"),
        pytest.param(without("origin"), "canonical form", id="no origin"),
        pytest.param(put("key_events", value=[]), "root", id="no key events"),
        pytest.param(put("key_events", 0, "position", value=1), "root", id="a root that is not the first entry"),
        pytest.param(another_statement, "signature", id="another statement"),
        pytest.param(anothers_signature, "signature", id="another event's signature"),
        pytest.param(another_signers_key, "key validity", id="a signer without registration"),
        pytest.param(another_signers_name, "signature", id="a signer of another name"),
        pytest.param(at_the_end, "inclusion", id="a checkpoint that does not reach so far"),
        pytest.param(changed("position", by=more), "inclusion", id="the next position"),
        pytest.param(changed("received_at", by=more), "inclusion", id="a microsecond later"),
    ],
)
def test_a_spoiled_receipt_fails_at_its_step(receipt: dict[str, Any], tmp_path: Path, spoil: Spoil, step: str) -> None:
    spoil(receipt)
    assert failed_step(written(tmp_path, receipt)) == step


@pytest.mark.parametrize("name", ["root", "origin"])
def test_nothing_that_a_receipt_repeats_may_differ_under_the_right_root(
    receipt: dict[str, Any], tmp_path: Path, root: str, name: str
) -> None:
    receipt[name] = "something else"
    assert failed_step(written(tmp_path, receipt), root=root) == "root"


def test_an_event_that_was_never_in_the_log_fails_at_the_inclusion(
    log: Log, receipt: dict[str, Any], tmp_path: Path
) -> None:
    receipt["event"] = World().author(author_name="Alice, another time").value
    assert failed_step(written(tmp_path, receipt)) == "inclusion"


def test_another_valid_signature_over_the_same_statement_fails_at_the_inclusion(
    claim: Entry, receipt: dict[str, Any], tmp_path: Path
) -> None:
    signature = another_signature(ALICE.key, EVENT_DOMAIN + claim.event.event_id)
    receipt["event"] = with_signature(claim.event, signature).value
    assert failed_step(written(tmp_path, receipt)) == "inclusion"


def by_a_rotated_key(world: World) -> Event:
    return world.author(ALICE)


def by_a_key_of_another_role(world: World) -> Event:
    return world.decision(world.author(SUCCESSOR), who=as_signer(BOB, "moderator"))


def by_a_key_under_another_name(world: World) -> Event:
    return world.author(Who(BOB.key, "contributor", MODERATOR.signer_id))


def in_the_name_of_another_key(world: World) -> Event:
    return with_signature(world.author(BOB), world.author(SUCCESSOR).signature)


@pytest.mark.parametrize(
    ("made", "step"),
    [
        (by_a_rotated_key, "key validity"),
        (by_a_key_of_another_role, "key validity"),
        (by_a_key_under_another_name, "signature"),
        (in_the_name_of_another_key, "signature"),
    ],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_a_registry_that_takes_what_its_signer_may_not_say_gives_no_receipt(
    tmp_path: Path, made: Callable[[World], Event], step: str
) -> None:
    log = Log.opened(tmp_path)
    log.admit(log.world.rotation(ALICE, SUCCESSOR))
    event = made(log.world)
    forged = Forged.after(log, event)
    entry = Entry(forged.size - 1, log.store.head().received_at, event)
    receipt = forged.receipt(entry, log.store.of_registry(0, forged.size))
    assert failed_step(written(tmp_path, receipt)) == step


def with_a_hash_twice(proof: list[str]) -> list[str]:
    return [*proof[:-1], proof[0]]


@pytest.mark.parametrize(("rows", "at"), [("key_events", -2), ("anchors", -1)])
@pytest.mark.parametrize(
    ("name", "by"), [("position", more), ("received_at", more), ("inclusion_proof", with_a_hash_twice)]
)
def test_what_a_receipt_relies_on_stands_where_it_says(
    receipt: dict[str, Any], tmp_path: Path, rows: str, at: int, name: str, by: Any
) -> None:
    changed(rows, at, name, by=by)(receipt)
    assert failed_step(written(tmp_path, receipt)) == "inclusion"


def swapped(receipt: dict[str, Any]) -> None:
    one, other = receipt["key_events"][1:3]
    one["position"], other["position"] = other["position"], one["position"]


def before_its_predecessor(receipt: dict[str, Any]) -> None:
    receipt["key_events"][-1]["received_at"] = 1


def twice(receipt: dict[str, Any]) -> None:
    receipt["key_events"].append(receipt["key_events"][-1])


def in_one_place(receipt: dict[str, Any]) -> None:
    receipt["key_events"][1]["position"] = receipt["key_events"][2]["position"]


def with_itself_among_the_keys(receipt: dict[str, Any]) -> None:
    row = {**receipt["event"], **{name: receipt[name] for name in ("position", "received_at", "inclusion_proof")}}
    receipt["key_events"].append(row)


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        (swapped, "inclusion"),
        (before_its_predecessor, "time"),
        (twice, "position"),
        (in_one_place, "position"),
        (with_itself_among_the_keys, "canonical form"),
    ],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_key_events_that_cannot_be_as_they_stand_fail(
    receipt: dict[str, Any], tmp_path: Path, spoil: Spoil, step: str
) -> None:
    spoil(receipt)
    assert failed_step(written(tmp_path, receipt)) == step


# Its proofs.


@pytest.mark.parametrize("lie", FORMS, ids=lambda lie: lie.__name__)
def test_a_proof_in_another_spelling_fails_at_the_canonical_form(
    receipt: dict[str, Any], tmp_path: Path, lie: Any
) -> None:
    changed("inclusion_proof", by=lie)(receipt)
    assert failed_step(written(tmp_path, receipt)) == "canonical form"


@pytest.mark.parametrize("value", [None, {}, "", [7], [None], [[]]], ids=repr)
def test_a_proof_of_another_kind_fails_at_the_canonical_form(
    receipt: dict[str, Any], tmp_path: Path, value: object
) -> None:
    receipt["inclusion_proof"] = value
    assert failed_step(written(tmp_path, receipt)) == "canonical form"


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_proof_that_leads_elsewhere_fails_at_the_inclusion(receipt: dict[str, Any], tmp_path: Path, lie: Any) -> None:
    changed("inclusion_proof", by=lie)(receipt)
    assert failed_step(written(tmp_path, receipt)) == "inclusion"


def test_a_proof_that_is_empty_fails_at_the_inclusion(receipt: dict[str, Any], tmp_path: Path) -> None:
    receipt["inclusion_proof"] = []
    assert failed_step(written(tmp_path, receipt)) == "inclusion"


def test_another_events_proof_fails_at_the_inclusion(log: Log, receipt: dict[str, Any], tmp_path: Path) -> None:
    other = a_receipt(log, log.store.entry(receipt["position"] + 1))
    receipt["inclusion_proof"] = other["inclusion_proof"]
    assert failed_step(written(tmp_path, receipt)) == "inclusion"


def test_a_proof_for_another_size_fails_at_the_inclusion(
    log: Log, claim: Entry, receipt: dict[str, Any], tmp_path: Path
) -> None:
    with_citations(log, 1).checkpoint()
    receipt["inclusion_proof"] = a_receipt(log, claim)["inclusion_proof"]
    assert failed_step(written(tmp_path, receipt)) == "inclusion"


def test_a_checkpoint_of_another_size_fails_at_the_inclusion(
    log: Log, claim: Entry, receipt: dict[str, Any], tmp_path: Path
) -> None:
    receipt["checkpoint"] = log.store.checkpoints.at(19).note.decode()
    assert failed_step(written(tmp_path, receipt)) == "inclusion"


def test_a_checkpoint_too_small_for_the_event_fails_at_the_inclusion(log: Log, tmp_path: Path) -> None:
    receipt = a_receipt(log, first_of(log, "moderation_decision"))
    receipt["checkpoint"] = log.store.checkpoints.at(19).note.decode()
    with pytest.raises(VerificationError, match="a tree of 19 leaves has no leaf 21"):
        verify_path(written(tmp_path, receipt), Trust())
    assert failed_step(written(tmp_path, receipt)) == "inclusion"


# Its checkpoint.


@pytest.mark.parametrize("more_lines", STRANGERS_LINES, ids=lambda spoil: spoil.__name__)
def test_lines_of_strangers_under_the_checkpoint_are_passed_over(
    log: Log, receipt: dict[str, Any], tmp_path: Path, root: str, more_lines: SpoilNote
) -> None:
    receipt["checkpoint"] = more_lines(receipt["checkpoint"], log.world)
    assert failed_step(written(tmp_path, receipt), root=root) == "verified"


@pytest.mark.parametrize("lie", FALSE_NOTES, ids=lambda spoil: spoil.__name__)
def test_what_is_no_checkpoint_of_this_log_fails_at_the_checkpoint(
    log: Log, receipt: dict[str, Any], tmp_path: Path, lie: SpoilNote
) -> None:
    receipt["checkpoint"] = lie(receipt["checkpoint"], log.world)
    assert failed_step(written(tmp_path, receipt)) == "checkpoint"


@pytest.mark.parametrize("lie", FOREIGN_NOTES, ids=lambda spoil: spoil.__name__)
def test_a_checkpoint_that_nobody_signed_who_may_fails_at_the_key(
    log: Log, receipt: dict[str, Any], tmp_path: Path, lie: SpoilNote
) -> None:
    receipt["checkpoint"] = lie(receipt["checkpoint"], log.world)
    assert failed_step(written(tmp_path, receipt)) == "key validity"


def test_a_checkpoint_from_before_its_key_was_registered_fails_at_the_key(
    log: Log, receipt: dict[str, Any], tmp_path: Path
) -> None:
    receipt["checkpoint"] = a_note(log.world, 2, bytes(32))
    assert failed_step(written(tmp_path, receipt)) == "key validity"


def without_key(who: str) -> Spoil:
    """Leave out the registration of a key of the registry."""

    def spoil(receipt: dict[str, Any]) -> None:
        public_key = getattr(World(), who).key.public_key.hex()
        receipt["key_events"] = [
            row for row in receipt["key_events"] if row["payload"].get("statement", {}).get("public_key") != public_key
        ]

    return spoil


def without_alice(receipt: dict[str, Any]) -> None:
    """Leave out all that is said of the signer's key."""
    mine = (ALICE.key.public_key.hex(), ALICE.key.key_id)
    receipt["key_events"] = [
        row for row in receipt["key_events"] if not any(name in json.dumps(row["payload"]) for name in mine)
    ]


def without_policy(receipt: dict[str, Any]) -> None:
    receipt["key_events"] = [row for row in receipt["key_events"] if row["event_type"] != "policy_set"]


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        pytest.param(without_key("registry"), "root", id="the event key"),
        pytest.param(without_key("log"), "key validity", id="the log key"),
        pytest.param(without_alice, "key validity", id="the signer's key"),
        pytest.param(without_policy, "rule", id="the policy that its anchors rely on"),
    ],
)
def test_a_receipt_that_leaves_out_what_it_relies_on_fails(
    receipt: dict[str, Any], tmp_path: Path, spoil: Spoil, step: str
) -> None:
    spoil(receipt)
    assert failed_step(written(tmp_path, receipt)) == step
