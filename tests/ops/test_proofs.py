"""Proofs of inclusion (C2SP tlog-proof) and of growth: what they show, and the named step at which each lie fails."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import tlog_proof
from ledger.checkpoint_store import SignedCheckpoint
from ledger.errors import NotFoundError, UsageError
from ledger.events import Entry
from ledger.merkle import leaf_hash
from ledger.notes import Verifier
from ledger.proofs import receipts
from ledger.proofs.trust import Trust
from ledger.tlog_proof import MAX_BYTES, LogProof
from ops.verify import verify_path
from tests.builders import World
from tests.logs import Log
from tests.ops.false_notes import (
    FALSE_NOTES,
    FOREIGN_NOTES,
    STRANGERS_LINES,
    SpoilNote,
    a_note,
    by_another_registrys_log_key,
)
from tests.ops.proofs import (
    FORMS,
    LIES,
    NO_HASH,
    NO_ROOT,
    WITNESS_KEY,
    Spoil,
    a_growth,
    a_log,
    changed,
    cosigned,
    failed_step,
    first_of,
    log_key_of,
    loose_bits_of,
    one_byte_changed,
    policy_of,
    put,
    root_of_log,
    thiefs_log,
    with_citations,
    without,
    written,
)

Respell = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log of a few hundred entries with checkpoints of 19, 24 and all of them."""
    log = a_log(tmp_path_factory.mktemp("log"))
    log.checkpoint()
    with_citations(log, 300).checkpoint()
    return log


@pytest.fixture(scope="module")
def key(log: Log) -> Verifier:
    return log_key_of(log)


@pytest.fixture(scope="module")
def claim(log: Log) -> Entry:
    return first_of(log, "author_attestation")


@pytest.fixture(scope="module")
def raw(log: Log, claim: Entry) -> bytes:
    """The proof of inclusion of Alice's claim."""
    return receipts.inclusion(log.store, claim)


# Their form.


def test_a_written_proof_holds_the_leaf_its_index_and_the_checkpoint(log: Log, claim: Entry, raw: bytes) -> None:
    proof = tlog_proof.parse(raw)
    assert (proof.extra, proof.index) == (claim.leaf(), claim.position)
    assert proof.checkpoint == log.store.checkpoints.published().note


def lines(raw: bytes) -> list[bytes]:
    return raw.split(b"\n")


def with_line(at: int, change: Respell) -> Respell:
    def respell(raw: bytes) -> bytes:
        found = lines(raw)
        found[at] = change(found[at])
        return b"\n".join(found)

    return respell


def without_line(at: int) -> Respell:
    return lambda raw: b"\n".join([line for number, line in enumerate(lines(raw)) if number != at])


def loosely(line: bytes) -> bytes:
    return loose_bits_of(line.decode()).encode()


@pytest.mark.parametrize(
    "respell",
    [
        pytest.param(with_line(0, lambda line: line + b" "), id="a longer first line"),
        pytest.param(with_line(0, lambda line: line.replace(b"v1", b"v12")), id="another version"),
        pytest.param(without_line(1), id="no leaf"),
        pytest.param(with_line(1, lambda line: b"extra "), id="an empty leaf"),
        pytest.param(with_line(1, lambda line: line.replace(b"extra ", b"extra  ")), id="two spaces"),
        pytest.param(with_line(1, lambda line: line[:-4]), id="a leaf that ends early"),
        pytest.param(with_line(1, lambda line: b"extra AAAAAAAA"), id="a leaf too short for its time"),
        pytest.param(with_line(1, lambda line: b"extra " + base64.b64encode(bytes(8) + b"{}")), id="no event"),
        pytest.param(without_line(2), id="no index"),
        pytest.param(with_line(2, lambda line: b"index -1"), id="a negative index"),
        pytest.param(with_line(2, lambda line: b"index 012"), id="an index with a leading zero"),
        pytest.param(with_line(2, lambda line: b"index 9223372036854775808"), id="an index beyond all logs"),
        pytest.param(with_line(2, lambda line: b"index " + b"9" * 5_000), id="an index of thousands of digits"),
        pytest.param(with_line(2, lambda line: "index ١٢".encode()), id="an index in other digits"),
        pytest.param(with_line(3, lambda line: line.rstrip(b"=")), id="a hash without its padding"),
        pytest.param(with_line(3, loosely), id="a hash with loose bits"),
        pytest.param(with_line(3, lambda line: line + b"\r"), id="a hash with another line end"),
        pytest.param(with_line(3, lambda line: b"AAAA"), id="a short hash"),
        pytest.param(with_line(3, lambda line: line + b"\n" + (line + b"\n") * 63 + line), id="too many hashes"),
        pytest.param(lambda raw: raw.replace(b"\n\n", b"\n", 1), id="no blank line"),
        pytest.param(lambda raw: raw.replace(b"\n", b"\r\n"), id="other line ends"),
        pytest.param(lambda raw: raw + b"\n" * MAX_BYTES, id="too long"),
        pytest.param(lambda raw: b"\xef\xbb\xbf" + raw, id="a byte order mark"),
        pytest.param(lambda raw: raw[: len(raw) // 3], id="a torn file"),
    ],
)
def test_a_proof_of_another_form_fails_at_the_canonical_form(
    raw: bytes, tmp_path: Path, key: Verifier, respell: Respell
) -> None:
    assert failed_step(written(tmp_path, respell(raw)), log_key=key) == "canonical form"


# Inclusion.


def test_a_proof_verifies_under_the_log_key(raw: bytes, tmp_path: Path, key: Verifier) -> None:
    assert failed_step(written(tmp_path, raw), log_key=key) == "verified"


def test_every_entry_of_a_log_has_a_proof_that_verifies(log: Log, tmp_path: Path, key: Verifier) -> None:
    steps = {
        failed_step(written(tmp_path, receipts.inclusion(log.store, entry)), log_key=key)
        for entry in log.store.entries()
    }
    assert steps == {"verified"}


def test_a_proof_still_verifies_after_the_log_has_grown(log: Log, raw: bytes, tmp_path: Path, key: Verifier) -> None:
    with_citations(log, 5).checkpoint()
    assert failed_step(written(tmp_path, raw), log_key=key) == "verified"


def test_a_proof_says_when_the_log_took_the_event_and_what_it_cannot_show(
    raw: bytes, tmp_path: Path, key: Verifier
) -> None:
    *_, included, left_open = verify_path(written(tmp_path, raw), Trust(log_key=key))
    assert "received at 2026-06-19T16:00:00" in included
    assert left_open.startswith("open: whose event it is")


def test_a_proof_names_no_key_so_its_reader_must(raw: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say who may sign") as refused:
        verify_path(written(tmp_path, raw), Trust())
    assert refused.value.place == "--log-key"


def test_a_proof_has_no_root_to_be_checked_against(raw: bytes, tmp_path: Path, key: Verifier) -> None:
    with pytest.raises(UsageError, match="names no root") as refused:
        verify_path(written(tmp_path, raw), Trust(NO_ROOT, key))
    assert refused.value.place == "--root"


def test_an_entry_beyond_the_published_checkpoint_has_no_proof_yet(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    log.checkpoint()
    with pytest.raises(UsageError, match="covers 9 entries, not position 9"):
        receipts.inclusion(log.store, log.admit(log.world.author()))


def test_a_log_without_a_checkpoint_has_no_proofs(tmp_path: Path) -> None:
    log = Log.opened(tmp_path)
    with pytest.raises(NotFoundError, match="no checkpoint was published"):
        receipts.inclusion(log.store, log.store.entry(0))


def of_another_event(raw: bytes, log: Log) -> bytes:
    return respelt(raw, hashes=tlog_proof.parse(receipts.inclusion(log.store, log.store.entry(3))).hashes)


def respelt(raw: bytes, **changes: Any) -> bytes:
    """Write a proof anew with some of its parts changed."""
    proof = tlog_proof.parse(raw)
    parts = {name: getattr(proof, name) for name in ("index", "hashes", "checkpoint", "extra")}
    return LogProof(**{**parts, **changes}).format()


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_path_that_leads_elsewhere_fails_at_the_inclusion(
    raw: bytes, tmp_path: Path, key: Verifier, lie: Callable[[list[str]], list[str]]
) -> None:
    path = [base64.b64encode(found).decode() for found in tlog_proof.parse(raw).hashes]
    lied = respelt(raw, hashes=tuple(base64.b64decode(found) for found in lie(path)))
    assert failed_step(written(tmp_path, lied), log_key=key) == "inclusion"


def test_another_events_path_fails_at_the_inclusion(log: Log, raw: bytes, tmp_path: Path, key: Verifier) -> None:
    assert failed_step(written(tmp_path, of_another_event(raw, log)), log_key=key) == "inclusion"


@pytest.mark.parametrize("by", [-1, 1, 10**6])
def test_another_position_fails_at_the_inclusion(raw: bytes, tmp_path: Path, key: Verifier, by: int) -> None:
    elsewhere = respelt(raw, index=tlog_proof.parse(raw).index + by)
    assert failed_step(written(tmp_path, elsewhere), log_key=key) == "inclusion"


def test_another_time_fails_at_the_inclusion(claim: Entry, raw: bytes, tmp_path: Path, key: Verifier) -> None:
    delayed = (claim.received_at + 1).to_bytes(8, "big") + claim.event.raw
    assert failed_step(written(tmp_path, respelt(raw, extra=delayed)), log_key=key) == "inclusion"


def test_another_event_fails_at_the_inclusion(log: Log, raw: bytes, tmp_path: Path, key: Verifier) -> None:
    other = respelt(raw, extra=log.store.entry(3).leaf())
    assert failed_step(written(tmp_path, other), log_key=key) == "inclusion"


@pytest.mark.parametrize("size", [24, 12], ids=["another size", "a size that does not reach so far"])
def test_a_checkpoint_of_another_size_fails_at_the_inclusion(
    log: Log, raw: bytes, tmp_path: Path, key: Verifier, size: int
) -> None:
    note = a_note(log.world, size, log.store.tree.root(size)).encode()
    assert failed_step(written(tmp_path, respelt(raw, checkpoint=note)), log_key=key) == "inclusion"


@pytest.mark.parametrize("time", [2**53, 2**63, 2**64 - 1])
def test_a_log_that_states_a_time_beyond_all_times_fails_at_the_canonical_form(
    log: Log, claim: Entry, tmp_path: Path, key: Verifier, time: int
) -> None:
    leaf = time.to_bytes(8, "big") + claim.event.raw
    proof = LogProof(0, (), a_note(log.world, 1, leaf_hash(leaf)).encode(), leaf)
    assert failed_step(written(tmp_path, proof.format()), log_key=key) == "canonical form"


@pytest.mark.parametrize("more_lines", STRANGERS_LINES, ids=lambda spoil: spoil.__name__)
def test_lines_of_strangers_under_the_checkpoint_are_passed_over(
    log: Log, raw: bytes, tmp_path: Path, key: Verifier, more_lines: SpoilNote
) -> None:
    note = more_lines(tlog_proof.parse(raw).checkpoint.decode(), log.world).encode()
    assert failed_step(written(tmp_path, respelt(raw, checkpoint=note)), log_key=key) == "verified"


@pytest.mark.parametrize("lie", [*FALSE_NOTES, *FOREIGN_NOTES], ids=lambda spoil: spoil.__name__)
def test_what_the_log_key_did_not_sign_as_a_checkpoint_fails_at_the_checkpoint(
    log: Log, raw: bytes, tmp_path: Path, key: Verifier, lie: SpoilNote
) -> None:
    note = lie(tlog_proof.parse(raw).checkpoint.decode(), log.world).encode()
    assert failed_step(written(tmp_path, respelt(raw, checkpoint=note)), log_key=key) == "checkpoint"


def test_a_proof_of_somebody_elses_log_of_the_same_name_fails_at_the_checkpoint(tmp_path: Path, key: Verifier) -> None:
    thief = thiefs_log(tmp_path)
    thief.checkpoint()
    forged = receipts.inclusion(thief.store, thief.store.entry(3))
    assert failed_step(written(tmp_path, forged), log_key=key) == "checkpoint"


@pytest.mark.parametrize(("asked", "step"), [(WITNESS_KEY, "verified"), (None, "quorum")])
def test_a_policy_says_who_must_have_cosigned_a_proof(tmp_path: Path, asked: Verifier | None, step: str) -> None:
    log = Log.opened(tmp_path)
    cosigned(log)
    proof = receipts.inclusion(log.store, log.store.entry(3))
    stranger = Verifier("witness.example/other", WITNESS_KEY.kind, log.world.receipt.key.public_key)
    trust = {"log_key": log_key_of(log), "policy": policy_of(asked or stranger)}
    assert failed_step(written(tmp_path, proof), **trust) == step


@pytest.mark.parametrize("seed", range(8))
def test_a_proof_with_any_byte_changed_never_verifies(raw: bytes, tmp_path: Path, key: Verifier, seed: int) -> None:
    steps = {failed_step(written(tmp_path, spoiled), log_key=key) for spoiled in one_byte_changed(raw, seed, 50)}
    assert "verified" not in steps


# Growth.


@pytest.fixture(scope="module")
def checkpoints(log: Log) -> tuple[SignedCheckpoint, SignedCheckpoint]:
    store = log.store.checkpoints
    return store.at(19), store.at(324)


@pytest.fixture(scope="module")
def original(log: Log, checkpoints: tuple[SignedCheckpoint, SignedCheckpoint]) -> dict[str, Any]:
    return a_growth(log, *checkpoints)


@pytest.fixture
def growth(original: dict[str, Any]) -> dict[str, Any]:
    """A proof of growth that a test may spoil."""
    return copy.deepcopy(original)


@pytest.fixture(scope="module")
def root(log: Log) -> str:
    return root_of_log(log)


def test_a_proof_of_growth_verifies_under_the_root(growth: dict[str, Any], tmp_path: Path, root: str) -> None:
    assert failed_step(written(tmp_path, growth), root=root) == "verified"


def test_a_proof_of_growth_verifies_under_the_log_key(growth: dict[str, Any], tmp_path: Path, key: Verifier) -> None:
    assert failed_step(written(tmp_path, growth), log_key=key) == "verified"


def test_a_proof_of_growth_says_how_much_is_the_same(growth: dict[str, Any], tmp_path: Path, root: str) -> None:
    assert "consistency: the first 19 entries are the same under both" in verify_path(
        written(tmp_path, growth), Trust(root)
    )


def test_every_two_checkpoints_of_a_log_have_a_proof_that_verifies(log: Log, tmp_path: Path, root: str) -> None:
    signed = list(log.store.checkpoints.all())
    steps = {
        failed_step(written(tmp_path, a_growth(log, old, new)), root=root)
        for at, old in enumerate(signed)
        for new in signed[at:]
    }
    assert steps == {"verified"}


def not_growing(growth: dict[str, Any]) -> None:
    growth["checkpoints"].reverse()


def standing_still(growth: dict[str, Any]) -> None:
    growth["checkpoints"][0] = growth["checkpoints"][1]


def without_log_key(growth: dict[str, Any]) -> None:
    log_key = World().log.key.public_key.hex()
    growth["key_events"] = [
        row for row in growth["key_events"] if row["payload"].get("statement", {}).get("public_key") != log_key
    ]


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        pytest.param(put("proof_version", value="2.0"), "usage", id="a version nobody knows"),
        pytest.param(without("proof_version"), "canonical form", id="no version"),
        pytest.param(without("checkpoints"), "canonical form", id="no checkpoints"),
        pytest.param(put("checkpoints", value="no"), "checkpoint", id="checkpoints of the wrong kind"),
        pytest.param(changed("checkpoints", by=lambda both: both[:1]), "canonical form", id="one checkpoint"),
        pytest.param(changed("checkpoints", by=lambda both: both * 2), "canonical form", id="four checkpoints"),
        pytest.param(put("checkpoints", 0, value=7), "canonical form", id="a checkpoint of the wrong kind"),
        pytest.param(put("consistency_proof", value=None), "canonical form", id="no proof"),
        pytest.param(put("consistency_proof", value=[]), "consistency", id="an empty proof"),
        pytest.param(not_growing, "consistency", id="a tree that shrinks"),
        pytest.param(standing_still, "consistency", id="one checkpoint twice"),
        pytest.param(put("registry", value="other.registry"), "root", id="another registry"),
        pytest.param(put("root", value=NO_ROOT), "root", id="another root"),
        pytest.param(without("root"), "root", id="no root"),
        pytest.param(put("origin", value="other.registry/log"), "root", id="another origin"),
        pytest.param(put("key_events", value=[]), "root", id="no key events"),
        pytest.param(put("key_events", 1, "received_at", value=1), "time", id="a key event before its predecessor"),
        pytest.param(put("key_events", 1, "nonce", value="A" * 22), "canonical form", id="a changed key event"),
        pytest.param(without_log_key, "key validity", id="a log key that is left out"),
    ],
)
def test_a_spoiled_proof_of_growth_fails_at_its_step(
    growth: dict[str, Any], tmp_path: Path, spoil: Spoil, step: str
) -> None:
    spoil(growth)
    assert failed_step(written(tmp_path, growth)) == step


@pytest.mark.parametrize("name", ["root", "origin"])
def test_nothing_that_a_proof_of_growth_repeats_may_differ_under_the_right_root(
    growth: dict[str, Any], tmp_path: Path, root: str, name: str
) -> None:
    growth[name] = "something else"
    assert failed_step(written(tmp_path, growth), root=root) == "root"


@pytest.mark.parametrize("lie", FORMS, ids=lambda lie: lie.__name__)
def test_a_proof_of_growth_in_another_spelling_fails_at_the_canonical_form(
    growth: dict[str, Any], tmp_path: Path, lie: Any
) -> None:
    changed("consistency_proof", by=lie)(growth)
    assert failed_step(written(tmp_path, growth)) == "canonical form"


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_proof_of_growth_that_leads_elsewhere_fails_at_the_consistency(
    growth: dict[str, Any], tmp_path: Path, lie: Any
) -> None:
    changed("consistency_proof", by=lie)(growth)
    assert failed_step(written(tmp_path, growth)) == "consistency"


def test_the_proof_of_another_growth_fails_at_the_consistency(log: Log, growth: dict[str, Any], tmp_path: Path) -> None:
    other = a_growth(log, log.store.checkpoints.at(24), log.store.checkpoints.at(324))
    growth["consistency_proof"] = other["consistency_proof"]
    assert failed_step(written(tmp_path, growth)) == "consistency"


@pytest.mark.parametrize("at", [0, 1])
def test_a_checkpoint_of_another_tree_fails_at_the_consistency(
    log: Log, growth: dict[str, Any], tmp_path: Path, at: int
) -> None:
    growth["checkpoints"][at] = a_note(log.world, (19, 324)[at], bytes(32))
    assert failed_step(written(tmp_path, growth)) == "consistency"


def test_two_roots_for_one_size_fail_at_the_consistency(log: Log, growth: dict[str, Any], tmp_path: Path) -> None:
    growth["checkpoints"][0] = a_note(log.world, 324, base64.b64decode(NO_HASH))
    growth["consistency_proof"] = []
    assert failed_step(written(tmp_path, growth)) == "consistency"


@pytest.mark.parametrize("lie", FALSE_NOTES, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("at", [0, 1])
def test_what_is_no_checkpoint_of_this_log_fails_at_the_checkpoint(
    log: Log, growth: dict[str, Any], tmp_path: Path, at: int, lie: SpoilNote
) -> None:
    growth["checkpoints"][at] = lie(growth["checkpoints"][at], log.world)
    assert failed_step(written(tmp_path, growth)) == "checkpoint"


@pytest.mark.parametrize("lie", FOREIGN_NOTES, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("at", [0, 1])
def test_a_checkpoint_that_nobody_signed_who_may_fails_at_the_key(
    log: Log, growth: dict[str, Any], tmp_path: Path, at: int, lie: SpoilNote
) -> None:
    growth["checkpoints"][at] = lie(growth["checkpoints"][at], log.world)
    assert failed_step(written(tmp_path, growth)) == "key validity"


@pytest.mark.parametrize(("pinned", "step"), [(False, "checkpoint"), (True, "key validity")])
def test_the_log_key_is_taken_from_the_reader_and_not_from_the_file(
    growth: dict[str, Any], tmp_path: Path, root: str, pinned: bool, step: str
) -> None:
    another = log_key_of(thiefs_log(tmp_path))
    assert failed_step(written(tmp_path, growth), log_key=another, root=root if pinned else None) == step


def test_a_proof_of_growth_of_somebody_elses_log_fails_under_the_root(tmp_path: Path, root: str) -> None:
    thief = thiefs_log(tmp_path)
    old, new = thief.checkpoint(), with_citations(thief, 3).checkpoint()
    forged = {**a_growth(thief, old, new), "root": root}
    assert failed_step(written(tmp_path, forged), root=root) == "root"


def test_a_foreign_signature_on_both_checkpoints_fails_at_the_key(
    log: Log, growth: dict[str, Any], tmp_path: Path
) -> None:
    growth["checkpoints"] = [by_another_registrys_log_key(note, log.world) for note in growth["checkpoints"]]
    assert failed_step(written(tmp_path, growth)) == "key validity"


@pytest.mark.parametrize(("newer", "step"), [(12, "verified"), (9, "quorum")])
def test_a_policy_asks_for_cosignatures_under_the_newer_checkpoint(tmp_path: Path, newer: int, step: str) -> None:
    log = Log.opened(tmp_path)
    old = log.checkpoint()
    cosigned(with_citations(log, 3))
    growth = a_growth(log, old, log.store.checkpoints.at(newer))
    assert failed_step(written(tmp_path, growth), root=root_of_log(log), policy=policy_of(WITNESS_KEY)) == step


@pytest.mark.parametrize("seed", range(8))
def test_a_proof_of_growth_with_any_byte_changed_never_verifies(
    original: dict[str, Any], tmp_path: Path, root: str, seed: int
) -> None:
    for spoiled in one_byte_changed(json.dumps(original).encode(), seed, 50):
        if failed_step(written(tmp_path, spoiled), root=root) == "verified":
            assert json.loads(spoiled) == original
