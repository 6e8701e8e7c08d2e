"""Offline verification of bundles: what holds, and the named step at which each lie fails."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import UsageError
from ledger.proofs.trust import Trust
from ops.verify import verify_path
from tests.builders import World, a_record
from tests.logs import Log
from tests.ops.false_notes import FALSE_NOTES, FOREIGN_NOTES, STRANGERS_LINES, SpoilNote
from tests.ops.proofs import (
    FORMS,
    LIES,
    NO_ROOT,
    WITNESS_KEY,
    Spoil,
    a_bundle,
    a_log,
    changed,
    cosigned,
    dropped,
    event_of,
    failed_step,
    log_key_of,
    more,
    one_byte_changed,
    policy_of,
    put,
    reidentified,
    root_of_log,
    thiefs_log,
    with_citations,
    without,
    written,
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log that goes on behind its last event about the paper."""
    log = a_log(tmp_path_factory.mktemp("log"))
    log.admit(log.world.record_created(*a_record("Another Paper", ident="2606.00077")))
    return log


@pytest.fixture(scope="module")
def root(log: Log) -> str:
    return root_of_log(log)


@pytest.fixture(scope="module")
def original(log: Log) -> dict[str, Any]:
    return a_bundle(log)


@pytest.fixture
def bundle(original: dict[str, Any]) -> dict[str, Any]:
    """A bundle that a test may spoil."""
    return copy.deepcopy(original)


def test_a_bundle_verifies_under_its_root(bundle: dict[str, Any], tmp_path: Path, root: str) -> None:
    assert failed_step(written(tmp_path, bundle), root=root) == "verified"


def test_a_bundle_without_a_root_verifies_by_its_own_word(bundle: dict[str, Any], tmp_path: Path) -> None:
    assert any("by its own word" in line for line in verify_path(written(tmp_path, bundle), Trust()))


def test_a_bundle_says_what_it_cannot_show(bundle: dict[str, Any], tmp_path: Path, root: str) -> None:
    left_open = [line for line in verify_path(written(tmp_path, bundle), Trust(root)) if line.startswith("open: ")]
    assert [line[:45] for line in left_open] == [
        "open: that nothing else was appended about th",
        "open: that no other key event or policy was l",
        "open: that others are shown the same checkpoi",
    ]


def test_the_order_in_which_a_bundle_lists_its_events_is_no_matter(
    bundle: dict[str, Any], tmp_path: Path, root: str
) -> None:
    bundle["events"].reverse()
    assert failed_step(written(tmp_path, bundle), root=root) == "verified"


def with_a_stranger(bundle: dict[str, Any]) -> None:
    event = World().record_created(*a_record("Another Paper", ident="2606.00099"))
    bundle["events"].append({**event.value, "position": bundle["log_size"] - 1, "received_at": 2**53 - 1})


def twice(bundle: dict[str, Any]) -> None:
    bundle["events"].append(bundle["events"][-1])


def same_position(bundle: dict[str, Any]) -> None:
    bundle["events"][1]["position"] = bundle["events"][0]["position"]


def another_nonce(bundle: dict[str, Any]) -> None:
    event_of(bundle, "author_attestation")["nonce"] = "A" * 22


def another_statement(bundle: dict[str, Any]) -> None:
    row = event_of(bundle, "author_attestation")
    row["payload"]["author_name"] = "Somebody Else"
    reidentified(row)


def another_record_in_the_event(bundle: dict[str, Any]) -> None:
    row = event_of(bundle, "record_created")
    row["payload"]["canonical_record"], _ = a_record("Another Title")
    reidentified(row)


def another_signers_key(bundle: dict[str, Any]) -> None:
    row = event_of(bundle, "author_attestation")
    row["signer"]["key_id"], row["signer"]["public_key_fingerprint"] = "0" * 64, "0" * 32
    reidentified(row)


def another_receipt(bundle: dict[str, Any]) -> None:
    row = event_of(bundle, "record_created")
    row["payload"]["pith_receipt"]["signature_b64"] = "A" * 86 + "=="
    reidentified(row)


def before_the_record(bundle: dict[str, Any]) -> None:
    row, created = event_of(bundle, "author_attestation"), event_of(bundle, "record_created")
    row["position"], row["received_at"] = created["position"] - 1, created["received_at"]
    bundle["key_events"] = [entry for entry in bundle["key_events"] if entry["position"] != row["position"]]


def earlier_than_its_predecessor(bundle: dict[str, Any]) -> None:
    bundle["events"][-1]["received_at"] = 1


def before_its_policy(bundle: dict[str, Any]) -> None:
    bundle["key_events"] = [row for row in bundle["key_events"] if row["event_type"] != "policy_set"]


def flattered(bundle: dict[str, Any]) -> None:
    bundle["state"]["verification_status"]["strong_author_claims"] = 7


def without_root(bundle: dict[str, Any]) -> None:
    bundle["key_events"] = bundle["key_events"][1:]


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        pytest.param(put("pith_number", value="pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA"), "number", id="another number"),
        pytest.param(put("canonical_record", "source", "version", value=2), "number", id="another record"),
        pytest.param(put("canonical_sha256", value="0" * 64), "number", id="another hash"),
        pytest.param(another_nonce, "canonical form", id="an event that has another id"),
        pytest.param(put("events", 0, "position", value="8"), "canonical form", id="a position of the wrong kind"),
        pytest.param(put("events", 0, "position", value=-1), "canonical form", id="a negative position"),
        pytest.param(put("events", 0, "received_at", value=1.5), "canonical form", id="a time of the wrong kind"),
        pytest.param(put("events", 0, "extra", value=1), "canonical form", id="a field that events do not have"),
        pytest.param(put("events", value={}), "state", id="no events"),
        pytest.param(put("events", value=[7]), "canonical form", id="an event of the wrong kind"),
        pytest.param(without("log_size"), "canonical form", id="no size"),
        pytest.param(without("registry"), "canonical form", id="no registry"),
        pytest.param(without("root"), "root", id="no root"),
        pytest.param(without_root, "root", id="no root event"),
        pytest.param(put("key_events", 0, "position", value=1), "root", id="a root that is not the first entry"),
        pytest.param(put("key_events", value=[]), "root", id="no key events"),
        pytest.param(put("root", value=NO_ROOT), "root", id="another root"),
        pytest.param(twice, "position", id="an event twice"),
        pytest.param(same_position, "position", id="two events in one place"),
        pytest.param(earlier_than_its_predecessor, "time", id="a time before its predecessor's"),
        pytest.param(another_signers_key, "key validity", id="a signer without registration"),
        pytest.param(another_statement, "signature", id="another statement"),
        pytest.param(another_receipt, "signature", id="another receipt"),
        pytest.param(another_record_in_the_event, "rule", id="another record in the event"),
        pytest.param(before_the_record, "rule", id="a claim before its record"),
        pytest.param(before_its_policy, "rule", id="an anchor whose policy is left out"),
        pytest.param(put("registry", value="other.registry"), "canonical form", id="another registry"),
        pytest.param(with_a_stranger, "canonical form", id="an event about another paper"),
        pytest.param(dropped("withdrawal"), "state", id="a withdrawal left out"),
        pytest.param(dropped("key_revoked"), "state", id="a revocation left out"),
        pytest.param(dropped("moderation_decision"), "state", id="a decision left out"),
        pytest.param(dropped("identity_evidence"), "state", id="the proof of an identity left out"),
        pytest.param(dropped("record_created"), "rule", id="the record left out"),
        pytest.param(flattered, "state", id="another status"),
        pytest.param(put("state", "verdicts", value={}), "state", id="no verdicts"),
        pytest.param(without("state"), "state", id="no state"),
        pytest.param(put("log_size", value=9), "canonical form", id="a size that hides events"),
        pytest.param(changed("log_size", by=more), "checkpoint", id="a size that the checkpoint does not have"),
        pytest.param(put("checkpoint", value=7), "canonical form", id="a checkpoint of the wrong kind"),
        pytest.param(without("checkpoint"), "canonical form", id="no checkpoint"),
        pytest.param(put("checkpoint", value=""), "checkpoint", id="an empty checkpoint"),
        pytest.param(put("applause", value=None), "state", id="a member that bundles do not have"),
    ],
)
def test_a_spoiled_bundle_fails_at_its_step(bundle: dict[str, Any], tmp_path: Path, spoil: Spoil, step: str) -> None:
    spoil(bundle)
    assert failed_step(written(tmp_path, bundle)) == step


@pytest.mark.parametrize("name", ["bundle_version", "short_pith_number", "source", "source_aliases"])
def test_nothing_that_a_bundle_repeats_of_its_events_may_differ_from_them(
    bundle: dict[str, Any], tmp_path: Path, root: str, name: str
) -> None:
    bundle[name] = "something else"
    assert failed_step(written(tmp_path, bundle), root=root) != "verified"


def test_a_bundle_under_another_root_than_the_one_asked_for_fails(bundle: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, bundle), root=NO_ROOT) == "root"


def test_a_bundle_of_somebody_elses_log_of_the_same_name_fails_under_the_root(tmp_path: Path, root: str) -> None:
    forged = {**a_bundle(thiefs_log(tmp_path)), "root": root}
    assert failed_step(written(tmp_path, forged), root=root) == "root"


@pytest.mark.parametrize("version", ["pith-ledger-merge-2", None, ""])
def test_a_bundle_by_foreign_merge_rules_is_refused_with_words(
    bundle: dict[str, Any], tmp_path: Path, version: str | None
) -> None:
    bundle["merge_version"] = version
    with pytest.raises(UsageError, match="merge rules"):
        verify_path(written(tmp_path, bundle), Trust())


def test_a_public_bundle_without_key_events_is_refused_with_words(bundle: dict[str, Any], tmp_path: Path) -> None:
    del bundle["key_events"]
    with pytest.raises(UsageError, match="merge rules"):
        verify_path(written(tmp_path, bundle), Trust())


# Where its events stand.


def of_checkpoint_anchor(bundle: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in bundle["key_events"] if row["event_type"] == "timestamp_anchor")


@pytest.mark.parametrize("lie", FORMS, ids=lambda lie: lie.__name__)
@pytest.mark.parametrize("rows", ["events", "key_events"])
def test_a_proof_in_another_spelling_fails_at_the_canonical_form(
    bundle: dict[str, Any], tmp_path: Path, rows: str, lie: Any
) -> None:
    changed(rows, 1, "inclusion_proof", by=lie)(bundle)
    assert failed_step(written(tmp_path, bundle)) == "canonical form"


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
@pytest.mark.parametrize("rows", ["events", "key_events"])
def test_a_proof_that_leads_elsewhere_fails_at_the_inclusion(
    bundle: dict[str, Any], tmp_path: Path, rows: str, lie: Any
) -> None:
    changed(rows, 1, "inclusion_proof", by=lie)(bundle)
    assert failed_step(written(tmp_path, bundle)) == "inclusion"


@pytest.mark.parametrize("lie", FORMS, ids=lambda lie: lie.__name__)
def test_a_proof_of_growth_in_another_spelling_fails_at_the_canonical_form(
    bundle: dict[str, Any], tmp_path: Path, lie: Any
) -> None:
    changed("consistency_proof", by=lie)(of_checkpoint_anchor(bundle))
    assert failed_step(written(tmp_path, bundle)) == "canonical form"


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_proof_of_growth_that_leads_elsewhere_fails_at_the_consistency(
    bundle: dict[str, Any], tmp_path: Path, lie: Any
) -> None:
    changed("consistency_proof", by=lie)(of_checkpoint_anchor(bundle))
    assert failed_step(written(tmp_path, bundle)) == "consistency"


@pytest.mark.parametrize("name", ["inclusion_proof", "consistency_proof"])
def test_a_proof_that_is_left_out_fails_at_the_canonical_form(
    bundle: dict[str, Any], tmp_path: Path, name: str
) -> None:
    del of_checkpoint_anchor(bundle)[name]
    assert failed_step(written(tmp_path, bundle)) == "canonical form"


def with_anothers_proof(bundle: dict[str, Any]) -> None:
    bundle["events"][1]["inclusion_proof"] = bundle["events"][2]["inclusion_proof"]


def shifted(bundle: dict[str, Any]) -> None:
    """Move every event but the root by one place."""
    for row in (*bundle["events"], *bundle["key_events"][1:]):
        row["position"] += 1


def delayed(bundle: dict[str, Any]) -> None:
    """Let every event have been received a microsecond later."""
    for row in (*bundle["events"], *bundle["key_events"]):
        row["received_at"] += 1


def exchanged(bundle: dict[str, Any]) -> None:
    """Let two attestations of one moment change their places, proofs and all."""
    one, other = (row for row in bundle["events"] if row["event_type"] == "citation_signature")
    for name in ("position", "inclusion_proof"):
        one[name], other[name] = other[name], one[name]


@pytest.mark.parametrize("spoil", [with_anothers_proof, shifted, delayed, exchanged], ids=lambda spoil: spoil.__name__)
def test_events_that_stand_elsewhere_or_came_at_another_time_fail_at_the_inclusion(
    bundle: dict[str, Any], tmp_path: Path, spoil: Spoil
) -> None:
    spoil(bundle)
    assert failed_step(written(tmp_path, bundle)) == "inclusion"


def test_proofs_for_another_size_fail_at_the_inclusion(log: Log, bundle: dict[str, Any], tmp_path: Path) -> None:
    later = a_bundle(with_citations(log, 3))
    for row, old in zip(later["events"], bundle["events"], strict=False):
        row["inclusion_proof"] = old["inclusion_proof"]
    assert failed_step(written(tmp_path, later)) == "inclusion"


def test_a_bundle_still_verifies_after_the_log_has_grown(
    log: Log, bundle: dict[str, Any], tmp_path: Path, root: str
) -> None:
    a_bundle(with_citations(log, 300))
    assert failed_step(written(tmp_path, bundle), root=root) == "verified"


# Its checkpoint.


@pytest.mark.parametrize("more_lines", STRANGERS_LINES, ids=lambda spoil: spoil.__name__)
def test_lines_of_strangers_under_the_checkpoint_are_passed_over(
    log: Log, bundle: dict[str, Any], tmp_path: Path, root: str, more_lines: SpoilNote
) -> None:
    bundle["checkpoint"] = more_lines(bundle["checkpoint"], log.world)
    assert failed_step(written(tmp_path, bundle), root=root) == "verified"


@pytest.mark.parametrize("lie", FALSE_NOTES, ids=lambda spoil: spoil.__name__)
def test_what_is_no_checkpoint_of_this_log_fails_at_the_checkpoint(
    log: Log, bundle: dict[str, Any], tmp_path: Path, lie: SpoilNote
) -> None:
    bundle["checkpoint"] = lie(bundle["checkpoint"], log.world)
    assert failed_step(written(tmp_path, bundle)) == "checkpoint"


@pytest.mark.parametrize("lie", FOREIGN_NOTES, ids=lambda spoil: spoil.__name__)
def test_a_checkpoint_that_nobody_signed_who_may_fails_at_the_key(
    log: Log, bundle: dict[str, Any], tmp_path: Path, lie: SpoilNote
) -> None:
    bundle["checkpoint"] = lie(bundle["checkpoint"], log.world)
    assert failed_step(written(tmp_path, bundle)) == "key validity"


def test_an_earlier_checkpoint_of_the_same_log_fails_at_the_checkpoint(
    log: Log, bundle: dict[str, Any], tmp_path: Path
) -> None:
    bundle["checkpoint"] = log.store.checkpoints.at(19).note.decode()
    assert failed_step(written(tmp_path, bundle)) == "checkpoint"


def without_key(who: str) -> Spoil:
    """Leave out the registration of a key."""

    def spoil(bundle: dict[str, Any]) -> None:
        public_key = getattr(World(), who).key.public_key.hex()
        bundle["key_events"] = [
            row for row in bundle["key_events"] if row["payload"].get("statement", {}).get("public_key") != public_key
        ]

    return spoil


@pytest.mark.parametrize(("who", "step"), [("registry", "root"), ("receipt", "key validity"), ("log", "key validity")])
def test_a_bundle_that_leaves_out_a_key_it_relies_on_fails(
    bundle: dict[str, Any], tmp_path: Path, who: str, step: str
) -> None:
    without_key(who)(bundle)
    assert failed_step(written(tmp_path, bundle)) == step


# What the reader knows from elsewhere.


def test_a_bundle_verifies_under_the_log_key(log: Log, bundle: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, bundle), log_key=log_key_of(log)) == "verified"


@pytest.mark.parametrize("pinned", [True, False])
def test_a_bundle_under_another_log_key_than_the_one_asked_for_fails(
    log: Log, bundle: dict[str, Any], tmp_path: Path, root: str, pinned: bool
) -> None:
    log_key = log_key_of(thiefs_log(tmp_path))
    assert failed_step(written(tmp_path, bundle), log_key=log_key, root=root if pinned else None) == "key validity"


def test_a_bundle_that_enough_witnesses_cosigned_verifies_under_the_policy(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    cosigned(log)
    bundle = a_bundle(log)
    assert failed_step(written(tmp_path, bundle), policy=policy_of(WITNESS_KEY)) == "verified"


def test_a_bundle_that_too_few_witnesses_cosigned_fails_at_the_quorum(
    bundle: dict[str, Any], tmp_path: Path, root: str
) -> None:
    assert failed_step(written(tmp_path, bundle), root=root, policy=policy_of(WITNESS_KEY)) == "quorum"


@pytest.mark.parametrize("seed", range(8))
def test_a_bundle_with_any_byte_changed_never_verifies(
    original: dict[str, Any], tmp_path: Path, root: str, seed: int
) -> None:
    for spoiled in one_byte_changed(json.dumps(original).encode(), seed, 40):
        if failed_step(written(tmp_path, spoiled), root=root) == "verified":
            assert json.loads(spoiled) == original
